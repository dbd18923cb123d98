"""Rotation of ENCRYPTION_KEYS: every secret encrypted anew under the first, a few hundred rows at a time.

It runs beside the program, on SQLite too: rows are read and encrypted outside of any transaction, and written by one
statement that changes only what is still as it was read. What is done already is known by the id of the key that
every ciphertext begins with, so that it may be stopped and run again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from itertools import groupby
from typing import Any

from django.db import OperationalError, connection, models, transaction
from django.db.models.functions import Cast, Left

from instances import crypto
from instances.errors import UnreadableSecretError
from instances.fields import SealedRow, SealedTextField, sealed_fields, sealed_models
from instances.models import Authorization, AuthorizationLink, IdempotencyKey
from instances.models.idempotency_keys import LIFETIME
from instances.provisioning.keys.quarantine import UnreadableRow, unreadable_row
from instances.queries.bulk_update import RowUpdate, update_rows
from instances.queries.database_clock import database_now

BATCH_ROWS = 250
# After each batch it rests for as long as the batch took, so that the program's readers and writers go first.
LONGEST_REST_SECONDS = 1.0
# A database that is locked or away is tried so often, and a row that is always being changed, too.
TRIES = 20
TRY_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class WaitingRows:
    """Rows whose digests were made with another key than the first. What they are of is not kept, so no digest can
    be made anew; they end by themselves, the last of them at until.
    """

    model: type[models.Model]
    count: int
    until: datetime


@dataclass(slots=True)
class Rotation:
    """What a rotation did. rotated: secrets. changing: rows that others kept changing at the same time."""

    rotated: int = 0
    unreadable: list[UnreadableRow] = field(default_factory=list)
    changing: int = 0
    waiting: list[WaitingRows] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing needs any key but the first. Rows in quarantine need none that is here."""
        is_new = any(not row.is_marked for row in self.unreadable)
        return not (is_new or self.changing or self.waiting)


@dataclass(frozen=True, slots=True)
class RotationProgress:
    """How far a rotation is in one table. total: the rows that there were to do when it began."""

    model: type[SealedRow]
    done: int
    total: int


def rotate_encryption_keys(
    *,
    is_dry_run: bool = False,
    on_progress: Callable[[RotationProgress], object] = lambda progress: None,
) -> Rotation:
    """Encrypt under the first key whatever is under another, and renew its digest.

    A row that no key decrypts is left alone, and is in the answer. Safe to stop, to run again, and beside a running
    program. Raises OperationalError when the database stays locked or away.
    """
    rotation = Rotation()
    for model in sealed_models():
        _ModelRotation(model, rotation, is_dry_run=is_dry_run).run(on_progress)
    rotation.waiting = list(_waiting_rows())
    return rotation


class _ModelRotation:
    def __init__(self, model: type[SealedRow], rotation: Rotation, *, is_dry_run: bool) -> None:
        self._model = model
        self._rotation = rotation
        self._is_dry_run = is_dry_run

    def run(self, on_progress: Callable[[RotationProgress], object]) -> None:
        total = _patiently(self._old_rows.count)
        done = 0
        changing: list[int] = []
        for rows in self._batches():
            changing += self._rotate(rows)
            done += len(rows)
            on_progress(RotationProgress(self._model, min(done, total), total))
        for _ in range(TRIES):
            if not changing:
                return
            time.sleep(TRY_AGAIN_SECONDS)
            changing = [pk for rows in self._batches(pk__in=changing) for pk in self._rotate(rows)]
        self._rotation.changing += len(changing)

    @cached_property
    def _old_rows(self) -> models.QuerySet[SealedRow]:
        """Rows with a ciphertext that is not under the first key, in order of their primary key."""
        done = ["", crypto.ciphertext_prefix(crypto.first_key_id())]
        heads = {
            f"head_of_{one.name}": Left(Cast(one.name, models.TextField()), len(done[1]))
            for one in sealed_fields(self._model)
        }
        old = models.Q(*(~models.Q((f"{head}__in", done)) for head in heads), _connector="OR")
        columns = ["uid", "quarantined_at", *(one.name for one in sealed_fields(self._model))]
        rows = self._model._base_manager.alias(**heads).filter(old)
        return rows.only(*columns).order_by("pk")

    def _batches(self, **only: Any) -> Iterator[list[SealedRow]]:
        last = 0
        chosen = self._old_rows.filter(**only)
        while rows := _patiently(partial(_page_after, last, chosen)):
            began = time.monotonic()
            last = rows[-1].pk
            yield rows
            time.sleep(min(time.monotonic() - began, LONGEST_REST_SECONDS))

    def _rotate(self, rows: Sequence[SealedRow]) -> list[int]:
        """The primary keys of rows that others changed at the same time."""
        updates = [update for row in rows if (update := self._update_of(row))]
        if self._is_dry_run:
            self._rotation.rotated += sum(len(update.expected) for update in updates)
            return []
        changed = _patiently(partial(_write, self._model, updates))
        self._rotation.rotated += sum(
            len(update.expected) for update in updates if update.pk in changed
        )
        return [update.pk for update in updates if update.pk not in changed]

    def _update_of(self, row: SealedRow) -> RowUpdate | None:
        """Its old ciphertexts, and the columns under the first key; None where there are none to write."""
        first = crypto.ciphertext_prefix(crypto.first_key_id())
        old: dict[str, Any] = {}
        new: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        for one in sealed_fields(self._model):
            sealed = getattr(row, one.name)
            if not sealed or sealed.ciphertext.startswith(first):
                continue
            try:
                new |= _encrypted_anew(row, one)
            except UnreadableSecretError as error:
                reasons[one.name] = error.reason
            else:
                old[one.name] = sealed
        if reasons:
            self._rotation.unreadable.append(unreadable_row(row, reasons))
        return RowUpdate(row.pk, old, new) if new else None


def _page_after(last: int, rows: models.QuerySet[SealedRow]) -> list[SealedRow]:
    return list(rows.filter(pk__gt=last)[:BATCH_ROWS])


def _encrypted_anew(row: SealedRow, one: SealedTextField) -> dict[str, Any]:
    setattr(row, one.name, getattr(row, one.name).reveal())
    names = [one.name, *filter(None, [one.digest_field])]
    return {name: getattr(row, name) for name in names}


def _write(model: type[SealedRow], updates: Sequence[RowUpdate]) -> set[int]:
    """Compare and set; the primary keys of the rows that were changed. No other writer waits for longer than one
    statement, and rows that another one holds are left to it.
    """
    changed = set()
    for _, alike in groupby(sorted(updates, key=_columns), key=_columns):
        group = list(alike)
        with transaction.atomic():
            pks = [update.pk for update in group]
            held = model._base_manager.select_for_update(skip_locked=True).filter(pk__in=pks)
            free = set(held.order_by("pk").values_list("pk", flat=True))
            changed |= update_rows(model, [update for update in group if update.pk in free])
    return changed


def _columns(update: RowUpdate) -> list[str]:
    return list(update.columns)


def _patiently[T](work: Callable[[], T]) -> T:
    """Do it again while the database is locked or away. Raises OperationalError when it stays so."""
    for _ in range(TRIES):
        try:
            return work()
        except OperationalError:
            if connection.in_atomic_block:
                raise
            connection.close()
            time.sleep(TRY_AGAIN_SECONDS)
    return work()


def _waiting_rows() -> Iterator[WaitingRows]:
    now = database_now()
    live: list[tuple[models.QuerySet[Any], Any]] = [
        (AuthorizationLink.objects.open(at=now), models.Max("expires_at")),
        (IdempotencyKey.objects.live(at=now), models.Max("created_at") + LIFETIME),
        (Authorization.objects.pending(at=now), models.Max("expires_at")),
    ]
    for rows, until in live:
        others = rows.exclude(digest_key_id__in=_ids_without_need())
        found = others.order_by().aggregate(count=models.Count("pk"), until=until)
        if found["count"]:
            yield WaitingRows(rows.model, found["count"], found["until"])


def _ids_without_need() -> list[str]:
    """The first key; and where it is the only one, rows of before the key was kept cannot be of another."""
    first = crypto.first_key_id()
    return [first, ""] if len(crypto.encryption_keys()) == 1 else [first]
