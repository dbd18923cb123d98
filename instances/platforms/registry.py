"""Choose the platform of an organization: the only module that imports them all."""

from instances.models import Organization
from instances.platforms.base import Platform
from instances.platforms.embedded.embedded_platform import EmbeddedPlatform
from instances.platforms.remote.remote_platform import CloudElementsPlatform


def platform_for(organization: Organization) -> Platform:
    """Return the organization's platform: its remote one, or the embedded one."""
    if organization.is_remote:
        return CloudElementsPlatform(organization)
    return EmbeddedPlatform(organization)
