"""Rows whose secrets do not decrypt: found, marked so that background work leaves them alone, and released again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from instances.errors import StateConflictError, UnreadableSecretError
from instances.fields import SealedRow, sealed_fields, sealed_models
from instances.models import Instance
from instances.provisioning.lifecycle.states import NO_CAUSE, State, cause_of, move_instance
from instances.queries.bulk_update import RowUpdate, update_rows

ACTOR = "manage.py quarantine_unreadable"
_READ_ROWS = 500


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row with secrets that do not decrypt. reasons: a sentence each, by the field's name; none where it was
    released. is_marked: it was quarantined before.
    """

    model: type[SealedRow]
    pk: int
    name: str
    reasons: dict[str, str]
    is_marked: bool

    @property
    def label(self) -> str:
        return f"{self.model._meta.verbose_name} {self.pk} ({self.name})"

    @property
    def line(self) -> str:
        """Which row it is, and why each of its secrets cannot be read, for a person."""
        reasons = (f"{name}: {reason}" for name, reason in self.reasons.items())
        return f"{self.label}: {' '.join(reasons)}"

    def document(self) -> dict[str, Any]:
        """As JSON: model, id, name, reasons."""
        return {
            "model": self.model._meta.model_name,
            "id": self.pk,
            "name": self.name,
            "reasons": self.reasons,
        }


@dataclass(slots=True)
class Quarantine:
    """What a search found. marked: now. released: marked before, and readable again. still: marked before, and still
    unreadable. changing: rows that somebody else changed at the same time, which were left alone.
    """

    marked: list[UnreadableRow] = field(default_factory=list)
    released: list[UnreadableRow] = field(default_factory=list)
    still: list[UnreadableRow] = field(default_factory=list)
    changing: list[UnreadableRow] = field(default_factory=list)


def unreadable_row(row: SealedRow, reasons: dict[str, str]) -> UnreadableRow:
    return UnreadableRow(type(row), row.pk, str(row), reasons, bool(row.quarantined_at))


def quarantine_unreadable(*, is_dry_run: bool = False) -> Quarantine:
    """Mark every row with a secret that no key decrypts, and release those that decrypt again.

    A connected instance that is marked needs reauthorization; when it is released, it is connected again. Safe to run
    again, and beside a running program.
    """
    quarantine = Quarantine()
    for row in _sealed_rows():
        reasons = row.unreadable_secrets()
        if bool(reasons) is bool(row.quarantined_at):
            if reasons:
                quarantine.still.append(unreadable_row(row, reasons))
            continue
        found = unreadable_row(row, reasons)
        is_done = is_dry_run or (_mark(row, reasons) if reasons else _release(row))
        outcome = quarantine.marked if reasons else quarantine.released
        (outcome if is_done else quarantine.changing).append(found)
    return quarantine


def _sealed_rows() -> Iterator[SealedRow]:
    for model in sealed_models():
        last = 0
        rows = model._base_manager.order_by("pk")
        while page := list(rows.filter(pk__gt=last)[:_READ_ROWS]):
            yield from page
            last = page[-1].pk


def _mark(row: SealedRow, reasons: dict[str, str]) -> bool:
    """False when somebody else changed it at the same time."""
    now = timezone.now()
    if not isinstance(row, Instance) or row.state != State.CONNECTED:
        return _set(row, quarantined_at=now)
    reason = next(iter(reasons.values()))
    error = UnreadableSecretError(
        f"{row.label}: its stored secrets cannot be read. {reason}", reason=reason
    )
    return _move(
        row, State.NEEDS_REAUTHORIZATION, why=str(error), quarantined_at=now, **cause_of(error)
    )


def _release(row: SealedRow) -> bool:
    """As _mark(); an instance that was moved by it goes back to where it was."""
    is_moved = isinstance(row, Instance) and row.cause == UnreadableSecretError.cause
    if not isinstance(row, Instance) or not is_moved or row.state != State.NEEDS_REAUTHORIZATION:
        return _set(row, quarantined_at=None)
    why = "Its secrets can be read again."
    return _move(row, State.CONNECTED, why=why, quarantined_at=None, **NO_CAUSE)


def _set(row: SealedRow, **columns: Any) -> bool:
    as_read = {one.name: getattr(row, one.name) for one in sealed_fields(type(row))}
    return bool(update_rows(type(row), [RowUpdate(row.pk, as_read, columns)]))


def _move(instance: Instance, to: str, **columns: Any) -> bool:
    try:
        move_instance(instance, to, expect={instance.state}, actor=ACTOR, **columns)
    except StateConflictError:
        return False
    return True
