"""Send an instance's name, tags and configuration to its remote platform."""

from instances.errors import StateConflictError
from instances.models import Instance
from instances.platforms.base import PlatformRequest
from instances.platforms.registry import platform_for
from instances.provisioning.platform_requests import platform_request

# Each repetition is caused by another caller's change of the same instance.
MAX_DESCRIPTIONS = 20


def describe_instance(
    instance: Instance, *, actor: str, known: PlatformRequest | None = None
) -> None:
    """Send what is stored to a remote platform, and repeat until it has the latest.

    Of two concurrent changes, the one that is stored first may arrive last. known: what the platform already has.

    Raises PlatformError, InstanceDeletedError, StateConflictError if other callers keep changing the instance.
    """
    if not instance.organization.is_remote:
        return
    for _ in range(MAX_DESCRIPTIONS):
        instance.refresh_from_db()
        request = platform_request(instance, actor=actor)
        if known and _description(known) == _description(request):
            return
        platform_for(request.organization).describe_instance(request)
        known = request
    raise StateConflictError(
        f"{instance.label} is being changed by other calls, so its platform may not have the latest name, tags and "
        "configuration. Save it again."
    )


def _description(request: PlatformRequest) -> tuple[object, ...]:
    return request.name, request.tags, request.configuration
