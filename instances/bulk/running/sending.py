"""The threads of a bulk job, which wait for the network.

They use the database only for rows that are processed individually: retries, and rows whose instance could not be
stored together with others.
"""

import threading
from dataclasses import replace
from queue import SimpleQueue

import structlog
from django.db import Error as AnyDatabaseError, connection
from django.utils import timezone

from instances.bulk.rows import Outcome, end_row, finish_row, hold_rows
from instances.bulk.running.inserting import Inserter
from instances.bulk.running.pacing import PacedQueue, Taken
from instances.bulk.running.work import Result, Run, Work, fault, pause_after, row_lease
from instances.errors import InstancesError
from instances.platforms.transport import deferred_interactions
from instances.provisioning.create import NewCreate

log = structlog.stdlib.get_logger(__name__)


class Senders:
    """Threads that turn work into results."""

    def __init__(self, run: Run, inserter: Inserter, *, threads: int) -> None:
        # A None for each thread that has ended.
        self.results = SimpleQueue[Result | None]()
        self._queue = PacedQueue(run, threads=threads)
        self._run = run
        self._inserter = inserter
        self._threads = threads

    def start(self) -> None:
        for _ in range(self._threads):
            # Daemons: an interrupted process does not wait for a provider that never answers.
            threading.Thread(target=self._work_off, daemon=True).start()

    def put(self, item: Work | Result) -> None:
        """Queue work, or the result of a row that needs none."""
        if isinstance(item, Work):
            self._queue.put(item)
        else:
            self.results.put(item)

    def stop(self) -> None:
        """End each thread after the row that it is at, and give back the others."""
        for work in self._queue.close():
            self.results.put(self._run.give_back(work))

    def _work_off(self) -> None:
        """Process queued work until the queue is closed: the main function of each thread."""
        try:
            while taken := self._queue.take():
                result = self._result_of(taken)
                self._queue.end(taken, result.error)
                self.results.put(result)
        finally:
            connection.close()
            self.results.put(None)

    def _result_of(self, taken: Taken) -> Result:
        row = taken.work.row
        try:
            return self._process(taken.work) if taken.may_start else self._run.give_back(taken.work)
        except Exception:  # the run would wait forever for a row without a result
            log.exception("bulk job failed at a row", job=self._run.job.pk, row=row.number)
            return fault(row)

    def _process(self, work: Work) -> Result:
        row = work.row
        try:
            if work.create:
                return self._send(work, work.create)
            return self._process_individually(work)
        except InstancesError as error:
            return self._run.refuse(row, error)
        except AnyDatabaseError as error:
            pause_after(error)
            return Result(row, is_lost=True)

    def _send(self, work: Work, create: NewCreate) -> Result:
        """Send a create without using the database.

        Its result is stored together with those of other rows.
        """
        row = work.row
        with deferred_interactions() as interactions:
            try:
                result = create.send(deadline=work.deadline)
            except Exception:  # the exchanges before it are stored all the same
                log.exception("bulk job failed at a row", job=self._run.job.pk, row=row.number)
                return replace(fault(row), interactions=interactions)
        if result.error:
            self._run.refuse(row, result.error)
        else:
            end_row(row, Outcome.SUCCEEDED)
        return Result(row, result, error=result.error, interactions=interactions)

    def _process_individually(self, work: Work) -> Result:
        """Store the row's instance, if it has none, and do what its state requires.

        Raises InstancesError.
        """
        row = work.row
        if work.is_unconfirmed:
            row.refresh_from_db()
        [inserted] = self._inserter.insert([row], deadline=work.deadline)
        if isinstance(inserted, Result):
            return inserted
        if inserted.create:
            return self._send(inserted, inserted.create)
        row.due_at = timezone.now() + row_lease()
        hold_rows([row], holder=self._run.holder)
        end_row(row, finish_row(row, actor=self._run.job.actor))
        return Result(row)
