"""The one guarded path on which an instance's state changes."""

from collections.abc import Collection, Sequence
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from instances.errors import InstancesError, PlatformError, StateConflictError
from instances.fields import SealedTextField
from instances.models import Instance, StateChange
from instances.provisioning.due_times import work_due_at

State = Instance.State

MOVES: dict[str, frozenset[str]] = {
    State.DRAFT: frozenset({State.PROVISIONING, State.AWAITING_AUTHORIZATION, State.DELETING}),
    State.AWAITING_AUTHORIZATION: frozenset(
        {State.AWAITING_AUTHORIZATION, State.PROVISIONING, State.FAILED, State.DELETING}
    ),
    State.PROVISIONING: frozenset(
        {State.PROVISIONING, State.CONNECTED, State.FAILED, State.UNKNOWN, State.DELETING}
    ),
    State.CONNECTED: frozenset(
        {State.CONNECTED, State.NEEDS_REAUTHORIZATION, State.FAILED, State.DELETING}
    ),
    State.FAILED: frozenset({State.PROVISIONING, State.AWAITING_AUTHORIZATION, State.DELETING}),
    State.UNKNOWN: frozenset({State.PROVISIONING, State.DELETING}),
    State.NEEDS_REAUTHORIZATION: frozenset(
        {State.NEEDS_REAUTHORIZATION, State.CONNECTED, State.FAILED, State.DELETING}
    ),
    State.DELETING: frozenset({State.DELETING}),
}

# Of a new instance: provisioning before anything is sent, connected where nothing is to be sent.
BEGINNINGS = frozenset({State.DRAFT, State.PROVISIONING, State.CONNECTED})

log = structlog.stdlib.get_logger(__name__)


def move_instance(
    instance: Instance,
    to: str,
    *,
    expect: Collection[str],
    actor: str,
    why: str,
    **changes: Any,
) -> None:
    """Move an instance to another state, and change other columns with it, by one compare-and-set UPDATE.

    expect: the states in which this is meant; it also matches only when nobody moved the instance since it was
    read. changes may name sealed fields, and work_due_at where the state's own is too late. Raises
    StateConflictError, and leaves the row alone, otherwise.
    """
    came_from = instance.state
    if came_from not in expect or to not in MOVES[came_from]:
        raise StateConflictError(
            f"{instance.label} is {instance.get_state_display()}, so this cannot be done now."
        )
    now = timezone.now()
    unmoved = Instance.objects.filter(
        pk=instance.pk, state=came_from, state_changed_at=instance.state_changed_at
    )
    move: dict[str, Any] = {
        "state": to,
        "state_changed_at": now,
        "work_due_at": changes.pop("work_due_at", None) or work_due_at(to, at=now),
        "work_failures": instance.work_failures if to == came_from else 0,
    }
    columns = _columns(instance, changes)
    with transaction.atomic(savepoint=False):
        moved = QuerySet.update(unmoved, **columns, **move)
        if moved == 1:
            StateChange.objects.create(
                instance=instance, from_state=came_from, to_state=to, actor=actor, reason=why
            )
    if moved != 1:
        instance.refresh_from_db()
        raise StateConflictError(
            f"{instance.label} was changed by somebody else in the meantime; look at it again."
        )
    instance.accept_move(**move)
    computed = [name for name, value in changes.items() if hasattr(value, "resolve_expression")]
    if computed:
        instance.refresh_from_db(fields=computed)
    log.info("instance moved", uid=str(instance.uid), from_state=came_from, to_state=to)


def insert_in_state(instances: Sequence[Instance], state: str, *, actor: str, why: str) -> None:
    """Insert new instances in the state in which each begins, with the first entry of its history.

    Raises StateConflictError for a state that nothing begins in. Tags are inserted by drafts.insert_instances().
    """
    if state not in BEGINNINGS:
        raise StateConflictError(f"No instance begins as {State(state).label}.")
    now = timezone.now()
    for instance in instances:
        instance.accept_move(state=state, work_due_at=work_due_at(state, at=now))
    with transaction.atomic(savepoint=False):
        Instance.objects.bulk_create(instances)
        StateChange.objects.bulk_create(
            StateChange(instance=instance, from_state="", to_state=state, actor=actor, reason=why)
            for instance in instances
        )


def cause_of(error: InstancesError) -> dict[str, Any]:
    """The columns that keep why an instance is not connected."""
    return {
        "cause": type(error).__name__,
        "cause_message": str(error),
        "cause_interaction_id": error.interaction_id if isinstance(error, PlatformError) else None,
    }


NO_CAUSE: dict[str, Any] = {"cause": "", "cause_message": "", "cause_interaction_id": None}


def _columns(instance: Instance, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes as an UPDATE takes them: sealed for this row, with their digests."""
    columns: dict[str, Any] = {}
    for name, value in changes.items():
        setattr(instance, name, value)
        columns[name] = getattr(instance, name)
        field = instance._meta.get_field(name) if not name.endswith("_id") else None
        if isinstance(field, SealedTextField) and field.digest_field:
            columns[field.digest_field] = getattr(instance, field.digest_field)
    return columns
