"""Tell a remote platform what is stored here."""

from instances.errors import (
    StateConflictError,
)
from instances.models import Instance
from instances.platforms.base import PlatformRequest
from instances.platforms.registry import platform_for
from instances.provisioning.platform_requests import platform_request

# Each but the first follows another caller's change of the same instance.
MAX_DESCRIPTIONS = 20


def describe_instance(
    instance: Instance, *, actor: str, told: PlatformRequest | None = None
) -> None:
    """Tell a remote platform what is stored, until what it was told last is what is stored.

    Of changes that are made at once, the one that is stored first may arrive last. told: what it was told already.
    Raises PlatformError, InstanceDeletedError, StateConflictError when others do not stop changing it.
    """
    if not instance.organization.is_remote:
        return
    for _ in range(MAX_DESCRIPTIONS):
        instance.refresh_from_db()
        request = platform_request(instance, actor=actor)
        if told and _description(told) == _description(request):
            return
        platform_for(request.organization).describe_instance(request)
        told = request
    raise StateConflictError(
        f"{instance.label} is being changed by other calls all the time, so its platform may not know the latest "
        "name, tags and configuration. Change it again."
    )


def _description(request: PlatformRequest) -> tuple[object, ...]:
    return request.name, request.tags, request.configuration
