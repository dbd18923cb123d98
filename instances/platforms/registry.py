"""The only place that knows all platforms."""

from instances.models import Organization
from instances.platforms.base import Platform
from instances.platforms.cloud_elements import CloudElementsPlatform
from instances.platforms.embedded import EmbeddedPlatform


def platform_for(organization: Organization) -> Platform:
    """Where this organization's instances are provisioned: at its remote platform, or here."""
    if organization.is_remote:
        return CloudElementsPlatform(organization)
    return EmbeddedPlatform(organization)
