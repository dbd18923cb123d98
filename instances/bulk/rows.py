"""One row of a bulk job: finish it, put it off, and store the outcome."""

import random
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from instances.errors import (
    InputError,
    InstancesError,
    MissingCodeError,
    PlatformError,
    StateConflictError,
)
from instances.models import BulkRow, Instance
from instances.provisioning.create import parse_body
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.reconcile import reconcile_instance
from instances.provisioning.lifecycle.schedule import CREATE_GRACE_PERIOD
from instances.provisioning.lifecycle.states import State, move_instance
from instances.queries.bulk_update import RowUpdate, update_rows
from instances.redaction import storable

# With this many attempts, a row survives an outage of about two minutes.
MAX_ATTEMPTS = 8
# The last of these met the row alone.
MAX_CRASHES = 8
FIRST_WAIT = timedelta(seconds=1)
INSTANCE_DELETED = "The instance was deleted in the meantime."
_HELD = ("due_at", "body", "instance_id", "is_drafted")
_ENDED = ("outcome", "error", "cause", "attempts", "crashes", "due_at", "holder", "body")

Outcome = BulkRow.Outcome


def finish_row(row: BulkRow, *, actor: str) -> str:
    """Do what the state of the row's instance requires; returns the row's outcome.

    Raises InstancesError.
    """
    instance = row.instance
    if instance is None:
        raise InputError(INSTANCE_DELETED)
    match instance.state:
        case State.CONNECTED:
            return Outcome.SUCCEEDED
        case State.AWAITING_AUTHORIZATION:
            return Outcome.AWAITING_AUTHORIZATION
        case State.DRAFT | State.FAILED:
            provider_data = parse_body(row.body.reveal()).provider_data
            return _provision(instance, provider_data, actor=actor)
        case State.PROVISIONING | State.UNKNOWN:
            reconcile_instance(instance, actor=actor, is_abandoned=True)
            return Outcome.SUCCEEDED
    raise InputError(
        f"{instance.label} is {instance.get_state_display()}. See the instance's page for what to do."
    )


def end_row(row: BulkRow, outcome: str, error: str = "", *, cause: str = "") -> None:
    """Set the row's final outcome in memory; store_rows() writes it."""
    row.outcome, row.error, row.cause = outcome, storable(error), cause
    row.due_at = row.holder = None
    # A failed row keeps its body: a retry may need the provider data.
    if outcome != Outcome.FAILED:
        row.body = {}


def end_or_put_off_row(row: BulkRow, error: InstancesError) -> None:
    """Schedule a retry if the row may succeed later, else let it fail.

    store_rows() writes it.
    """
    if settled_at := _settled_at(row, error):
        row.error = storable(str(error))
        give_back_row(row, due_at=max(settled_at, timezone.now() + FIRST_WAIT))
    elif error.is_retryable and row.attempts < MAX_ATTEMPTS:
        row.error, row.crashes = storable(str(error)), 0
        _make_due(row, at=_due_again_at(row, error))
    else:
        end_row(row, Outcome.FAILED, str(error), cause=error.cause)


def give_back_row(row: BulkRow, *, due_at: datetime) -> None:
    """Make the row due again without counting an attempt; store_rows() writes it."""
    row.attempts -= 1
    _make_due(row, at=due_at)


def hold_rows(rows: Collection[BulkRow], *, holder: UUID) -> None:
    """Store the rows' instances and leases.

    Raises StateConflictError if a row has another holder now.
    """
    if len(_store(rows, _HELD, holder=holder)) != len(rows):
        raise StateConflictError("Another worker has taken over this row.")


def store_rows(rows: Collection[BulkRow], *, holder: UUID) -> set[int]:
    """Store outcomes and due times.

    Returns the primary keys of the rows that the holder still held.
    """
    return _store(rows, _ENDED, holder=holder)


def stored_before(rows: Collection[BulkRow]) -> set[BulkRow]:
    """Those that are stored as they are here: by an attempt of store_rows() whose commit was not confirmed."""
    there = BulkRow.objects.in_bulk([row.pk for row in rows])
    return {row for row in rows if row.pk in there and _end_of(there[row.pk]) == _end_of(row)}


def _end_of(row: BulkRow) -> list[object]:
    return [getattr(row, name) for name in _ENDED if name != "body"]


def _store(rows: Collection[BulkRow], columns: Collection[str], *, holder: UUID) -> set[int]:
    expected = {"holder": holder, "outcome": Outcome.RUNNING}
    for row in rows:
        # They may have been read before a rotation of the keys.
        row.encrypt_anew(columns)
    updates = [
        RowUpdate(row.pk, expected, {name: getattr(row, name) for name in columns}) for row in rows
    ]
    return update_rows(BulkRow, updates)


def _make_due(row: BulkRow, *, at: datetime) -> None:
    row.outcome, row.due_at, row.holder = Outcome.PENDING, at, None


def _settled_at(row: BulkRow, error: InstancesError) -> datetime | None:
    """When the outcome of a lost create is certain; None if there is no wait for it.

    Waiting for it does not count as an attempt.
    """
    instance = row.instance
    if not isinstance(error, StateConflictError) or instance is None:
        return None
    if instance.state not in {State.UNKNOWN, State.PROVISIONING}:
        return None
    settled_at: datetime = instance.state_changed_at + CREATE_GRACE_PERIOD
    return settled_at


def _due_again_at(row: BulkRow, error: InstancesError) -> datetime:
    """Back off exponentially from 1 s, and respect the platform's Retry-After."""
    now = timezone.now()
    due_at: datetime = now + FIRST_WAIT * 2 ** (row.attempts - 1) * random.uniform(0.8, 1.2)  # noqa: S311
    if isinstance(error, PlatformError) and error.retry_after_seconds:
        due_at = max(due_at, now + timedelta(seconds=error.retry_after_seconds))
    return due_at


def _provision(instance: Instance, provider_data: Mapping[str, str], *, actor: str) -> str:
    try:
        provision_instance(instance, actor=actor, provider_data=provider_data)
    except MissingCodeError:
        move_instance(
            instance,
            State.AWAITING_AUTHORIZATION,
            expect={State.DRAFT, State.FAILED},
            actor=actor,
            why="Waiting for the account owner to authorize access.",
        )
        return Outcome.AWAITING_AUTHORIZATION
    return Outcome.SUCCEEDED
