"""One row of a bulk job: how it is brought to its end, and what it is to hold then."""

import random
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from instances.errors import (
    InputError,
    InstancesError,
    MissingCodeError,
    RateLimitedError,
    StateConflictError,
)
from instances.models import BulkRow, Element, Instance, OrganizationUser
from instances.provisioning.create import clean_name
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.reconcile import reconcile_instance
from instances.provisioning.lifecycle.schedule import CREATE_GRACE_PERIOD
from instances.provisioning.lifecycle.states import State, move_instance
from instances.queries.bulk_update import RowUpdate, update_rows
from instances.redaction import storable
from instances.wire import InstanceBody

# So often, an outage of about two minutes is outlived.
MAX_ATTEMPTS = 8
FIRST_WAIT = timedelta(seconds=1)
_HELD = ("due_at", "body", "instance_id", "is_drafted")
_ENDED = ("outcome", "error", "attempts", "due_at", "holder", "body")

Outcome = BulkRow.Outcome


def existing_instance(user: OrganizationUser, element: Element, name: str) -> Instance | None:
    """The user's instance of this element and name, in whatever state it is."""
    name = clean_name(name) or element.name
    there = Instance.objects.filter(organization_user=user, element=element, name=name)
    return there.order_by("pk").first()


def finish_row(row: BulkRow, body: InstanceBody, *, actor: str) -> str:
    """Do what the state of the row's instance asks for; the row's outcome. Raises InstancesError.

    body: what is left of it; the provider's data, if it brought any.
    """
    instance = row.instance
    if instance is None:
        raise InputError("Its instance was deleted in the meantime.")
    match instance.state:
        case State.CONNECTED:
            return Outcome.SUCCEEDED
        case State.AWAITING_AUTHORIZATION:
            return Outcome.AWAITING_AUTHORIZATION
        case State.DRAFT | State.FAILED:
            return _provision(instance, body, actor=actor)
        case State.PROVISIONING | State.UNKNOWN:
            reconcile_instance(instance, actor=actor, is_abandoned=True)
            return Outcome.SUCCEEDED
    raise InputError(f"{instance.label} is {instance.get_state_display()}: look at its page.")


def end_row(row: BulkRow, outcome: str, error: str = "") -> None:
    """It has ended, once store_rows() has written it."""
    row.outcome, row.error = outcome, storable(error)
    row.due_at = row.holder = None
    # What failed may be tried again, and needs what it has not given to its instance yet.
    if outcome != Outcome.FAILED:
        row.body = {}


def end_or_put_off_row(row: BulkRow, error: InstancesError) -> None:
    """What may succeed later is due again later, the rest has failed; once store_rows() has written it."""
    if settled_at := _settled_at(row, error):
        row.error = storable(str(error))
        give_back_row(row, due_at=max(settled_at, timezone.now() + FIRST_WAIT))
    elif error.is_retryable and row.attempts < MAX_ATTEMPTS:
        row.error = storable(str(error))
        _make_due(row, at=_due_again_at(row, error))
    else:
        end_row(row, Outcome.FAILED, str(error))


def give_back_row(row: BulkRow, *, due_at: datetime) -> None:
    """Nothing was tried, so this was no attempt; once store_rows() has written it."""
    row.attempts -= 1
    _make_due(row, at=due_at)


def hold_rows(rows: Collection[BulkRow], *, holder: UUID) -> None:
    """Write their instances, and how long they are the holder's. Raises StateConflictError when one is no more."""
    if len(_store(rows, _HELD, holder=holder)) != len(rows):
        raise StateConflictError("Another worker took over in the meantime.")


def store_rows(rows: Collection[BulkRow], *, holder: UUID) -> set[int]:
    """Write how they ended, or when they are due again; the primary keys of those that were still the holder's."""
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
    """When a lost create is certain, where all that can be done is to wait for that; it is no attempt."""
    instance = row.instance
    if not isinstance(error, StateConflictError) or instance is None:
        return None
    if instance.state not in {State.UNKNOWN, State.PROVISIONING}:
        return None
    settled_at: datetime = instance.state_changed_at + CREATE_GRACE_PERIOD
    return settled_at


def _due_again_at(row: BulkRow, error: InstancesError) -> datetime:
    """After 1 s, doubling, and never before a platform asked."""
    now = timezone.now()
    due_at: datetime = now + FIRST_WAIT * 2 ** (row.attempts - 1) * random.uniform(0.8, 1.2)  # noqa: S311
    if isinstance(error, RateLimitedError) and error.retry_after_seconds:
        due_at = max(due_at, now + timedelta(seconds=error.retry_after_seconds))
    return due_at


def _provision(instance: Instance, body: InstanceBody, *, actor: str) -> str:
    try:
        provision_instance(instance, actor=actor, provider_data=body.provider_data)
    except MissingCodeError:
        move_instance(
            instance,
            State.AWAITING_AUTHORIZATION,
            expect={State.DRAFT, State.FAILED},
            actor=actor,
            why="Its account's holder has to allow access.",
        )
        return Outcome.AWAITING_AUTHORIZATION
    return Outcome.SUCCEEDED
