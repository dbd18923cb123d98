"""Write the records of data calls in batches, because there are many of them.

A process that is killed loses at most what it has not written for DATA_CALL_BATCH_SECONDS. Records of everything else
are written at once (recording.py).
"""

import atexit
import threading
import time

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from instances.models import Interaction
from instances.platforms.transport.recording import write_interaction

# While the database is away, this many are kept.
MAX_WAITING = 10_000

log = structlog.stdlib.get_logger(__name__)


class _Batches:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Interaction] = []
        self._writer: threading.Thread | None = None

    def add(self, interaction: Interaction) -> None:
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                log.error("record of a data call dropped", operation=interaction.operation)
                return
            self._waiting.append(interaction)
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write_often, daemon=True)
                self._writer.start()

    def write(self) -> None:
        """Write what is waiting; keep it if the database is away."""
        with self._lock:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            _write(batch)
        except (DatabaseError, InterfaceError) as error:
            log.warning("records of data calls not written yet", error=type(error).__name__)
            connection.close()
            with self._lock:
                self._waiting = [*batch, *self._waiting][:MAX_WAITING]

    def _write_often(self) -> None:
        while seconds := settings.DATA_CALL_BATCH_SECONDS:
            time.sleep(seconds)
            close_old_connections()
            self.write()


def _write(batch: list[Interaction]) -> None:
    """Write a batch. If that fails, the batch holds what is not written."""
    try:
        Interaction.objects.bulk_create(batch)
    except DatabaseError:
        # One of the instances was deleted meanwhile, or one record cannot be stored.
        connection.close_if_unusable_or_obsolete()
        while batch:
            write_interaction(batch[0])
            del batch[0]


_batches = _Batches()
atexit.register(_batches.write)


def record_soon(interaction: Interaction) -> None:
    """Write the record of a data call within DATA_CALL_BATCH_SECONDS; at once if that is 0."""
    if settings.DATA_CALL_BATCH_SECONDS:
        _batches.add(interaction)
    else:
        write_interaction(interaction)
