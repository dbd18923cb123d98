"""Tell a remote platform what is stored here."""

from instances.errors import (
    StateConflictError,
)
from instances.models import Instance
from instances.platforms.base import InstanceDraft
from instances.platforms.registry import platform_for
from instances.provisioning.platform_requests import draft_of

# Each but the first follows another caller's change of the same instance.
MAX_DESCRIPTIONS = 20


def describe_instance(instance: Instance, *, actor: str, told: InstanceDraft | None = None) -> None:
    """Tell a remote platform what is stored, until what it was told last is what is stored.

    Of changes that are made at once, the one that is stored first may arrive last. told: what it was told already.
    Raises PlatformError, InstanceDeletedError, StateConflictError when others do not stop changing it.
    """
    if not instance.organization.is_remote:
        return
    for _ in range(MAX_DESCRIPTIONS):
        instance.refresh_from_db()
        draft = draft_of(instance, actor=actor)
        if told and _description(told) == _description(draft):
            return
        platform_for(draft.organization).describe_instance(draft)
        told = draft
    raise StateConflictError(
        f"{instance.label} is being changed by other calls all the time, so its platform may not know the latest "
        "name, tags and configuration. Change it again."
    )


def _description(draft: InstanceDraft) -> tuple[object, ...]:
    return draft.name, draft.tags, draft.configuration
