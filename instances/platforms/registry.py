"""The only place that knows all platforms."""

from instances.models import Organization
from instances.platforms.base import Platform
from instances.platforms.embedded.embedded_platform import EmbeddedPlatform
from instances.platforms.remote.remote_platform import CloudElementsPlatform


def platform_for(organization: Organization) -> Platform:
    """Where this organization's instances are provisioned: at its remote platform, or here."""
    if organization.is_remote:
        return CloudElementsPlatform(organization)
    return EmbeddedPlatform(organization)
