"""Store the results of a bulk job: many in one transaction."""

from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic, sleep

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from instances.bulk.rows import end_or_put_off_row, store_rows, stored_before
from instances.bulk.running.work import Result, Run, fault, pause_after
from instances.errors import InstancesError
from instances.models import BulkRow, Interaction
from instances.provisioning.lifecycle.provision import without_conflicts
from instances.provisioning.lifecycle.states import State, move_instances
from instances.queries.bulk_insert import insert_new

STORE_EVERY_SECONDS = 0.25
_LOOK_EVERY_SECONDS = 0.02

log = structlog.stdlib.get_logger(__name__)


class ResultStore:
    """Gathers the results of a run's threads, and stores them."""

    def __init__(self, run: Run, results: SimpleQueue[Result | None], *, threads: int) -> None:
        # Rows that this run is done with.
        self.settled = 0
        self._run = run
        self._results = results
        self._batch_size = 4 * threads
        self._open_threads = threads
        self._unstored: list[Result] = []
        self._is_unconfirmed = False

    @property
    def has_unstored(self) -> bool:
        return bool(self._unstored)

    @property
    def has_all(self) -> bool:
        """Whether every thread has ended, and every result is stored."""
        return not self._open_threads and not self._unstored

    def store_next(self, claimed: float) -> list[BulkRow]:
        """Wait a moment for results, and store them; returns the finished rows.

        claimed: the rows claimed so far. With the results of all of them, there is nothing to wait for.
        """
        self._gather(claimed)
        if not self._unstored:
            return []
        ended: list[BulkRow] = []
        try:
            ended += self._stored_before()
            ended += self._store(self._unstored)
        except (OperationalError, InterfaceError) as error:
            # They are stored together with the next results.
            self._is_unconfirmed = True
            pause_after(error)
            return ended
        except Exception:  # one row must not spoil the others
            log.exception("bulk job stores row by row", job=self._run.job.pk)
            ended += [row for result in self._unstored for row in self._store_alone(result)]
        self.settled += len(self._unstored)
        self._unstored = []
        return ended

    def _gather(self, claimed: float) -> None:
        ends_at = monotonic() + STORE_EVERY_SECONDS
        while self._open_threads and monotonic() < ends_at:
            if len(self._unstored) >= min(self._batch_size, claimed - self.settled):
                return
            # Not woken by each result: that would cost as much as storing it.
            sleep(_LOOK_EVERY_SECONDS)
            with suppress(Empty):
                while True:
                    self._add(self._results.get_nowait())

    def _add(self, result: Result | None) -> None:
        if result is None:
            self._open_threads -= 1
        elif result.is_lost:
            self.settled += 1
        else:
            self._unstored.append(result)

    def _stored_before(self) -> list[BulkRow]:
        """Leave out what the last attempt stored without a confirmation; the rows of it that have ended."""
        if not self._is_unconfirmed:
            return []
        before = stored_before([result.row for result in self._unstored])
        self._unstored = [result for result in self._unstored if result.row not in before]
        self.settled += len(before)
        self._is_unconfirmed = False
        return [row for row in before if row.due_at is None]

    def _store_alone(self, result: Result) -> list[BulkRow]:
        try:
            return self._store([result])
        except Exception:  # one row must not spoil the others
            log.exception("bulk job failed at a row", job=self._run.job.pk, row=result.row.number)
            return self._store([fault(result.row)])

    def _store(self, results: Sequence[Result]) -> list[BulkRow]:
        """Store results, each with its exchanges and its instance's state.

        Returns the rows that are finished.
        """
        with transaction.atomic():
            _record([result for result in results if result.interactions])
            conflicts = self._move_instances(results)
            for result in results:
                is_moved = result.create or result.move
                if is_moved and (conflict := conflicts.get(result.row.instance_id or 0)):
                    end_or_put_off_row(result.row, conflict)
            held = store_rows([result.row for result in results], holder=self._run.holder)
        return [
            result.row for result in results if result.row.pk in held and result.row.due_at is None
        ]

    def _move_instances(self, results: Sequence[Result]) -> dict[int, InstancesError]:
        """Change the states of the results' instances; returns the errors by instance id."""
        now = timezone.now()
        moves = [result.move for result in results if result.move]
        conflicts: dict[int, InstancesError] = {}
        for ended in without_conflicts([result.create for result in results if result.create]):
            moves.append(ended.transition(at=now))
            if ended.error:
                conflicts[ended.instance.pk] = ended.error
        conflicts.update(
            move_instances(moves, expect={State.PROVISIONING}, actor=self._run.job.actor)
        )
        return conflicts


def _record(results: Sequence[Result]) -> None:
    """Store the exchanges of results."""
    failed = [
        interaction for result in results if result.error for interaction in result.interactions
    ]
    for interaction in failed:
        # It has an id if an earlier attempt to store it was rolled back.
        interaction.pk = None
    # The instance and its row refer to the exchange that failed.
    Interaction.objects.bulk_create(failed)
    insert_new([one for result in results if not result.error for one in result.interactions])
