"""Rotate ENCRYPTION_KEYS: re-encrypt every secret with the first key, in batches.

It runs while the program runs, on SQLite too: rows are read and encrypted outside any transaction, and written by one
statement that skips rows that have changed since. Every ciphertext begins with the id of its key, so a rotation can be
stopped and run again.
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

from instances.crypto import sealing
from instances.errors import UnreadableSecretError
from instances.fields import SealedRow, SealedTextField, sealed_fields, sealed_models
from instances.models import Authorization, AuthorizationLink, IdempotencyKey
from instances.models.idempotency_keys import LIFETIME
from instances.provisioning.keys.quarantine import UnreadableRow, unreadable_row
from instances.queries.bulk_update import RowUpdate, update_rows
from instances.queries.database_clock import database_now

BATCH_ROWS = 250
# After each batch it pauses for as long as the batch took, to let the program's own queries through.
MAX_PAUSE_SECONDS = 1.0
# How often to retry while the database is locked or down, or while other processes change a row.
TRIES = 20
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class WaitingRows:
    """Rows with a digest that was made with another key than the first.

    The value is not stored, so the digest cannot be renewed. These rows expire, the last of them at `until`.
    """

    model: type[models.Model]
    count: int
    until: datetime


@dataclass(slots=True)
class Rotation:
    """The result of a rotation.

    rotated: the number of secrets. changing: the number of rows that other processes kept changing.
    """

    rotated: int = 0
    unreadable: list[UnreadableRow] = field(default_factory=list)
    changing: int = 0
    waiting: list[WaitingRows] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Return whether every key but the first can be removed.

        Rows in quarantine do not count, since none of the keys decrypts them.
        """
        is_new = any(not row.is_marked for row in self.unreadable)
        return not (is_new or self.changing or self.waiting)


@dataclass(frozen=True, slots=True)
class RotationProgress:
    """The progress of a rotation in one table.

    total: the rows that had to be rotated when it started.
    """

    model: type[SealedRow]
    done: int
    total: int


def rotate_encryption_keys(
    *,
    is_dry_run: bool = False,
    on_progress: Callable[[RotationProgress], object] = lambda progress: None,
) -> Rotation:
    """Re-encrypt every secret of another key with the first key, and renew its digest.

    Rows that no key decrypts are skipped and reported. Safe to stop, to run again, and while the program runs.

    Raises OperationalError if the database stays locked or down.
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
        total = _with_retries(self._old_rows.count)
        done = 0
        changing: list[int] = []
        for rows in self._batches():
            changing += self._rotate(rows)
            done += len(rows)
            on_progress(RotationProgress(self._model, min(done, total), total))
        for _ in range(TRIES):
            if not changing:
                return
            time.sleep(RETRY_SECONDS)
            changing = [pk for rows in self._batches(pk__in=changing) for pk in self._rotate(rows)]
        self._rotation.changing += len(changing)

    @cached_property
    def _old_rows(self) -> models.QuerySet[SealedRow]:
        """Return the rows with a ciphertext of another key than the first, by primary key."""
        done = ["", sealing.ciphertext_prefix(sealing.first_key_id())]
        heads = {
            f"head_of_{sealed_field.name}": Left(
                Cast(sealed_field.name, models.TextField()), len(done[1])
            )
            for sealed_field in sealed_fields(self._model)
        }
        old = models.Q(*(~models.Q((f"{head}__in", done)) for head in heads), _connector="OR")
        columns = [
            "uid",
            "quarantined_at",
            *(sealed_field.name for sealed_field in sealed_fields(self._model)),
        ]
        rows = self._model._base_manager.alias(**heads).filter(old)
        return rows.only(*columns).order_by("pk")

    def _batches(self, **only: Any) -> Iterator[list[SealedRow]]:
        last = 0
        chosen = self._old_rows.filter(**only)
        while rows := _with_retries(partial(_page_after, last, chosen)):
            started = time.monotonic()
            last = rows[-1].pk
            yield rows
            time.sleep(min(time.monotonic() - started, MAX_PAUSE_SECONDS))

    def _rotate(self, rows: Sequence[SealedRow]) -> list[int]:
        """Rotate a batch; return the primary keys of rows that have changed meanwhile."""
        updates = [update for row in rows if (update := self._update_of(row))]
        if self._is_dry_run:
            self._rotation.rotated += sum(len(update.expected) for update in updates)
            return []
        changed = _with_retries(partial(_write, self._model, updates))
        self._rotation.rotated += sum(
            len(update.expected) for update in updates if update.pk in changed
        )
        return [update.pk for update in updates if update.pk not in changed]

    def _update_of(self, row: SealedRow) -> RowUpdate | None:
        """Return the old ciphertexts and the re-encrypted columns, if there are any."""
        first = sealing.ciphertext_prefix(sealing.first_key_id())
        old: dict[str, Any] = {}
        new: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        for sealed_field in sealed_fields(self._model):
            sealed = getattr(row, sealed_field.name)
            if not sealed or sealed.ciphertext.startswith(first):
                continue
            try:
                new |= _reencrypted(row, sealed_field)
            except UnreadableSecretError as error:
                reasons[sealed_field.name] = error.reason
            else:
                old[sealed_field.name] = sealed
        if reasons:
            self._rotation.unreadable.append(unreadable_row(row, reasons))
        return RowUpdate(row.pk, old, new) if new else None


def _page_after(last: int, rows: models.QuerySet[SealedRow]) -> list[SealedRow]:
    return list(rows.filter(pk__gt=last)[:BATCH_ROWS])


def _reencrypted(row: SealedRow, sealed_field: SealedTextField) -> dict[str, Any]:
    setattr(row, sealed_field.name, getattr(row, sealed_field.name).reveal())
    names = [sealed_field.name, *filter(None, [sealed_field.digest_field])]
    return {name: getattr(row, name) for name in names}


def _write(model: type[SealedRow], updates: Sequence[RowUpdate]) -> set[int]:
    """Write by compare-and-set; return the primary keys of the written rows.

    Other writers wait at most for one statement. Rows that another writer has locked are skipped.
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


def _with_retries[T](work: Callable[[], T]) -> T:
    """Retry while the database is locked or down.

    Raises OperationalError if it stays so.
    """
    for _ in range(TRIES):
        try:
            return work()
        except OperationalError:
            if connection.in_atomic_block:
                raise
            connection.close()
            time.sleep(RETRY_SECONDS)
    return work()


def _waiting_rows() -> Iterator[WaitingRows]:
    now = database_now()
    live: list[tuple[models.QuerySet[Any], Any]] = [
        (AuthorizationLink.objects.open(at=now), models.Max("expires_at")),
        (IdempotencyKey.objects.live(at=now), models.Max("created_at") + LIFETIME),
        (Authorization.objects.pending(at=now), models.Max("expires_at")),
    ]
    for rows, until in live:
        others = rows.exclude(digest_key_id__in=_settled_key_ids())
        found = others.order_by().aggregate(count=models.Count("pk"), until=until)
        if found["count"]:
            yield WaitingRows(rows.model, found["count"], found["until"])


def _settled_key_ids() -> list[str]:
    """Return the key ids of digests that need no other key than the first.

    If there is only one key, rows from before the key's id was stored belong to it.
    """
    first = sealing.first_key_id()
    return [first, ""] if len(sealing.encryption_keys()) == 1 else [first]
