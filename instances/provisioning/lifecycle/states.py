"""Change the state of instances; each change is checked and recorded here."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet

from instances.errors import InstancesError, PlatformError, StateConflictError
from instances.fields import SealedTextField
from instances.models import Instance, StateChange, Tag
from instances.models.accounts import account_digest
from instances.provisioning.lifecycle.account_parts import save_account_parts
from instances.provisioning.lifecycle.schedule import next_action_at
from instances.queries.bulk_insert import insert_new, insert_rows
from instances.queries.bulk_update import RowUpdate, update_rows
from instances.queries.database_clock import database_now
from instances.queries.outages import outlast_outage
from instances.queries.prepared import insert_row_with
from instances.redaction import storable

State = Instance.State
MAX_WORDS_CHARACTERS = 5_000

MOVES: dict[str, frozenset[str]] = {
    # A new instance starts in provisioning before anything is sent, or in connected if nothing has to be sent.
    "": frozenset({State.DRAFT, State.PROVISIONING, State.CONNECTED}),
    State.DRAFT: frozenset({State.PROVISIONING, State.AWAITING_AUTHORIZATION, State.DELETING}),
    State.AWAITING_AUTHORIZATION: frozenset(
        {State.AWAITING_AUTHORIZATION, State.PROVISIONING, State.FAILED, State.DELETING}
    ),
    State.PROVISIONING: frozenset(
        {
            State.DRAFT,
            State.PROVISIONING,
            State.CONNECTED,
            State.FAILED,
            State.UNKNOWN,
            State.DELETING,
        }
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

# The states that provision_instance() accepts: the instance is not connected and was not created at its platform.
PROVISIONABLE = frozenset({State.DRAFT, State.AWAITING_AUTHORIZATION, State.FAILED})
# The states of an instance that was connected: it can be checked and authenticated again.
CREATED = frozenset({State.CONNECTED, State.NEEDS_REAUTHORIZATION})

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Move:
    """A change of state, its reason, and the columns that change with it."""

    instance: Instance
    to: str
    why: str
    changes: Mapping[str, Any] = field(default_factory=dict, repr=False)


def move_instance(
    instance: Instance,
    to: str,
    *,
    expect: Collection[str],
    actor: str,
    why: str,
    only_if: Mapping[str, Any] | None = None,
    is_outlasting: bool = False,
    **changes: Any,
) -> None:
    """Move an instance to another state, by one compare-and-set UPDATE.

    It matches only if the instance was not moved since it was read. expect: the states to move from. only_if: columns
    that must have these values. is_outlasting: wait for the end of a database outage, because the changes contain a
    platform's response. changes: may include sealed fields, and next_action_at to override that of the state.

    Raises StateConflictError, and changes nothing, if the row does not match.
    """
    came_from = instance.state
    _require_possible(instance, to, expect)
    unmoved = Instance.objects.filter(
        pk=instance.pk,
        state=came_from,
        state_changed_at=instance.state_changed_at,
        **(only_if or {}),
    )
    move = _move_columns(instance, to, changes, at=database_now())
    columns = _columns(instance, changes)

    def write() -> bool:
        with transaction.atomic(savepoint=False):
            moved = QuerySet.update(unmoved, **(columns | move))
            if moved == 1:
                save_account_parts(_identities([Move(instance, to, why, changes)]))
                StateChange.objects.create(
                    instance=instance,
                    from_state=came_from,
                    to_state=to,
                    actor=actor,
                    reason=_bounded(why),
                )
        # After a commit that was not confirmed, the retry matches no row.
        return moved == 1 or (is_outlasting and _is_written(instance, move))

    if not (outlast_outage(write, what="state") if is_outlasting else write()):
        instance.refresh_from_db()
        raise _moved_by_another(instance)
    instance.accept_move(**move)
    computed = [name for name, value in changes.items() if hasattr(value, "resolve_expression")]
    if computed:
        read = partial(instance.refresh_from_db, fields=computed)
        outlast_outage(read, what="state") if is_outlasting else read()
    log.info("instance moved", uid=str(instance.uid), from_state=came_from, to_state=to)


def move_instances(
    moves: Sequence[Move], *, expect: Collection[str], actor: str
) -> dict[int, StateConflictError]:
    """Move many instances as move_instance() does; return the errors by id.

    Moves that change the same columns share one UPDATE. changes must not contain expressions.
    """
    conflicts: dict[int, StateConflictError] = {}
    possible = []
    for move in moves:
        try:
            _require_possible(move.instance, move.to, expect)
        except StateConflictError as error:
            conflicts[move.instance.pk] = error
        else:
            possible.append(move)
    with transaction.atomic(savepoint=False):
        for _, alike in groupby(sorted(possible, key=_changed_names), key=_changed_names):
            conflicts |= _move_alike(list(alike), actor=actor)
    return conflicts


def _move_alike(moves: Sequence[Move], *, actor: str) -> dict[int, StateConflictError]:
    now = database_now()
    columns = [_move_columns(move.instance, move.to, move.changes, at=now) for move in moves]
    updates = [
        RowUpdate(
            move.instance.pk,
            {
                "state": move.instance.state,
                "state_changed_at": move.instance.state_changed_at,
            },
            _columns(move.instance, move.changes) | own,
        )
        for move, own in zip(moves, columns, strict=True)
    ]
    moved = update_rows(Instance, updates)
    save_account_parts(_identities([move for move in moves if move.instance.pk in moved]))
    _record_changes(
        [
            (move.instance.pk, move.instance.state, move.to, actor, _bounded(move.why))
            for move in moves
            if move.instance.pk in moved
        ]
    )
    for move, own in zip(moves, columns, strict=True):
        if move.instance.pk in moved:
            # After a rollback the instance in memory is unchanged, so the same move can be tried again.
            transaction.on_commit(partial(move.instance.accept_move, **own))
    log.info("instances moved", count=len(moved))
    return {
        move.instance.pk: _moved_by_another(move.instance)
        for move in moves
        if move.instance.pk not in moved
    }


def _identities(moves: Iterable[Move]) -> dict[int, Mapping[str, str]]:
    """Return the accounts that moves make known, by the id of the instance."""
    return {
        move.instance.pk: move.changes["account_identity"] or {}
        for move in moves
        if "account_identity" in move.changes
    }


def _changed_names(move: Move) -> list[str]:
    return list(move.changes)


def insert_in_state(instances: Sequence[Instance], state: str, *, actor: str, why: str) -> None:
    """Insert new instances in a state, with tags and the first history entry.

    Raises StateConflictError if no instance may start in this state.
    """
    if state not in MOVES[""]:
        raise StateConflictError(f"An instance cannot start in the state {State(state).label}.")
    now = database_now()
    first = {"from_state": "", "to_state": state, "actor": actor, "reason": why}
    for instance in instances:
        instance.accept_move(state=state, next_action_at=next_action_at(state, at=now))
    if len(instances) == 1:
        [instance] = instances
        insert_row_with(instance, [StateChange(instance=instance, **first), *_new_tags(instance)])
        return
    with transaction.atomic(savepoint=False):
        insert_new(instances, unique="uid")
        _record_changes([(instance.pk, "", state, actor, why) for instance in instances])
        tags = [(instance.pk, name) for instance in instances for name in instance.tag_names]
        insert_rows(Tag, ["instance", "name"], tags)


def _record_changes(changes: Sequence[tuple[int, str, str, str, str]]) -> None:
    """Record state changes of many instances: id, state before, state, who and why of each."""
    at = database_now()
    names = ["at", "instance", "from_state", "to_state", "actor", "reason"]
    insert_rows(StateChange, names, [(at, *change) for change in changes])


def _new_tags(instance: Instance) -> list[Tag]:
    return [Tag(instance=instance, name=name) for name in instance.tag_names]


def cause_of(error: InstancesError) -> dict[str, Any]:
    """Return the columns that store why an instance is not healthy."""
    return {
        "cause": error.cause,
        "cause_message": _bounded(str(error)),
        "cause_interaction_id": error.interaction_id if isinstance(error, PlatformError) else None,
    }


def unexpected_error(instance: Instance) -> InstancesError:
    """Return the error to store if the program itself failed at an instance."""
    return InstancesError(f"{instance.label}: an unexpected error occurred. See the log.")


def proved_columns(instance: Instance, *, at: datetime) -> dict[str, Any]:
    """Return the columns that record an exchange that the provider accepted the stored credentials in."""
    return {"last_succeeded_at": at, "verified_at": instance.verified_at or at}


NO_CAUSE: dict[str, Any] = {"cause": "", "cause_message": "", "cause_interaction_id": None}


def _bounded(words: str) -> str:
    """Make text that may come from outside storable."""
    return storable(words)[:MAX_WORDS_CHARACTERS]


def _require_possible(instance: Instance, to: str, expect: Collection[str]) -> None:
    if instance.state not in expect or to not in MOVES[instance.state]:
        raise StateConflictError(
            f"{instance.label} is in the state “{instance.get_state_display()}”, so this cannot be done now."
        )


def _moved_by_another(instance: Instance) -> StateConflictError:
    return StateConflictError(
        f"{instance.label} was changed by another process. Reload it and try again."
    )


def _move_columns(
    instance: Instance, to: str, changes: Mapping[str, Any], *, at: datetime
) -> dict[str, Any]:
    """Return the columns that every move changes."""
    return {
        "state": to,
        "state_changed_at": at,
        "next_action_at": changes.get("next_action_at") or next_action_at(to, at=at),
        "consecutive_failures": instance.consecutive_failures if to == instance.state else 0,
    }


def _is_written(instance: Instance, move: Mapping[str, Any]) -> bool:
    own = {name: move[name] for name in ("state", "state_changed_at")}
    return Instance.objects.filter(pk=instance.pk, **own).exists()


def _columns(instance: Instance, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes as an UPDATE takes them: sealed for this row, with digests."""
    columns: dict[str, Any] = {}
    for name, value in changes.items():
        setattr(instance, name, value)
        columns[name] = getattr(instance, name)
        field = instance._meta.get_field(name) if not name.endswith("_id") else None
        if isinstance(field, SealedTextField) and field.digest_field:
            columns[field.digest_field] = getattr(instance, field.digest_field)
    if "account_identity" in changes:
        digest = account_digest(instance.element_id, changes["account_identity"])
        columns["account_digest"] = instance.account_digest = digest
    return columns
