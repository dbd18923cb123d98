"""Quarantine rows whose secrets cannot be decrypted.

They are marked, so that background work skips them, and released when their secrets can be decrypted again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from instances.crypto import sealing
from instances.errors import StateConflictError, UnreadableSecretError
from instances.fields import SealedRow, sealed_fields, sealed_models
from instances.models import Instance
from instances.provisioning.lifecycle.states import NO_CAUSE, State, cause_of, move_instance
from instances.queries.bulk_update import RowUpdate, update_rows

ACTOR = "manage.py quarantine_unreadable"
_READ_ROWS = 500


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row with secrets that cannot be decrypted.

    reasons: a sentence for each field, by its name; empty if the row was released. is_marked: it was already in
    quarantine.
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
        """Describe the row and why each of its secrets cannot be read, for a person."""
        reasons = (f"{name}: {reason}" for name, reason in self.reasons.items())
        return f"{self.label}: {' '.join(reasons)}"

    def document(self) -> dict[str, Any]:
        """Return the row as JSON: model, id, name, reasons."""
        return {
            "model": self.model._meta.model_name,
            "id": self.pk,
            "name": self.name,
            "reasons": self.reasons,
        }


@dataclass(slots=True)
class Quarantine:
    """The result of a search.

    marked: newly quarantined. released: readable again. still: already quarantined and still unreadable. changing:
    skipped, because another process changed them at the same time.
    """

    marked: list[UnreadableRow] = field(default_factory=list)
    released: list[UnreadableRow] = field(default_factory=list)
    still: list[UnreadableRow] = field(default_factory=list)
    changing: list[UnreadableRow] = field(default_factory=list)


def has_readable_secrets() -> bool:
    """Whether these keys belong to this database: they read some stored secret, or none is stored.

    Stops at the first that they read, so that it may be asked often. Raises EncryptionKeyError.
    """
    prefixes = [sealing.ciphertext_prefix(key.id) for key in sealing.encryption_keys()]
    is_readable = Q(*(("stored__startswith", prefix) for prefix in prefixes), _connector=Q.OR)
    is_any_stored = False
    for model in sealed_models():
        rows = model._base_manager.filter(quarantined_at=None).order_by()
        for column in sealed_fields(model):
            stored = rows.annotate(stored=Cast(column.name, TextField())).exclude(stored="")
            if stored.filter(is_readable).exists():
                return True
            is_any_stored = is_any_stored or stored.exists()
    return not is_any_stored


def unreadable_row(row: SealedRow, reasons: dict[str, str]) -> UnreadableRow:
    return UnreadableRow(type(row), row.pk, str(row), reasons, bool(row.quarantined_at))


def quarantine_unreadable(*, is_dry_run: bool = False) -> Quarantine:
    """Mark rows with secrets that no key decrypts, and release readable ones.

    A connected instance that is marked moves to needs_reauthorization, and back to connected when it is released. Safe
    to run again, and while the program runs.
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
    """Mark a row; False if another process changed it at the same time."""
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
    """Release a row, and move an instance back to connected if _mark() moved it.

    False if another process changed it at the same time.
    """
    is_moved = isinstance(row, Instance) and row.cause == UnreadableSecretError.cause
    if not isinstance(row, Instance) or not is_moved or row.state != State.NEEDS_REAUTHORIZATION:
        return _set(row, quarantined_at=None)
    why = "Its secrets can be read again."
    return _move(row, State.CONNECTED, why=why, quarantined_at=None, **NO_CAUSE)


def _set(row: SealedRow, **columns: Any) -> bool:
    as_read = {
        sealed_field.name: getattr(row, sealed_field.name)
        for sealed_field in sealed_fields(type(row))
    }
    return bool(update_rows(type(row), [RowUpdate(row.pk, as_read, columns)]))


def _move(instance: Instance, to: str, **columns: Any) -> bool:
    try:
        move_instance(instance, to, expect={instance.state}, actor=ACTOR, **columns)
    except StateConflictError:
        return False
    return True
