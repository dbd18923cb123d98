"""Do the work that is due: refresh, check, reconcile, continue deletions.

Any number of schedulers may run these functions at the same time, since every instance is claimed: a refresh by its
lease, other work by moving its due time, which also makes it due again if its process is killed.

Hosts that hang hold only a part of the threads (`pacing.py`). With `patience`, a sweep does not wait for them either:
what runs goes on, and what has not begun stays due.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Event, Lock, Thread

import structlog
from django.db import Error as AnyDatabaseError, connection
from django.utils import timezone

from instances.errors import (
    ClockSkewError,
    CredentialsRefusedError,
    GrantRejectedError,
    InstancesError,
    NoCheckError,
    PlatformError,
    StateConflictError,
)
from instances.models import Instance
from instances.models.instance_querysets import InstanceQuerySet
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.pacing import Pacing, Place, place_of
from instances.provisioning.lifecycle.reconcile import reconcile_instance
from instances.provisioning.lifecycle.refresh import SECOND_ASKING, refresh_instance
from instances.provisioning.lifecycle.schedule import DELETION_RETRY, check_due_at, retry_after
from instances.provisioning.lifecycle.states import State, cause_of, unexpected_error
from instances.queries.database_clock import require_right_clock
from instances.queries.outages import is_outage

SCHEDULER = "scheduler"
# Threads of a sweep. A single provider gets at most CONCURRENCY_PER_PROVIDER of them.
CONCURRENCY = 40
CONCURRENCY_PER_PROVIDER = 32
# Checks are not urgent.
CHECKS_PER_PROVIDER = 4
BATCH = 500

_refreshes = Pacing(most_at_once=CONCURRENCY, most_at_a_place=CONCURRENCY_PER_PROVIDER)
_checks = Pacing(most_at_once=CONCURRENCY, most_at_a_place=CHECKS_PER_PROVIDER)

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class SweepReport:
    """The result of a sweep: number of successes, and errors by instance id.

    unchecked: instances whose element has no check.
    """

    succeeded: int = 0
    unchecked: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def total(self) -> int:
        return self.succeeded + self.unchecked + len(self.failures)

    def add(self, other: "SweepReport") -> None:
        self.succeeded += other.succeeded
        self.unchecked += other.unchecked
        self.failures |= other.failures

    def count(self, instance_id: int, error: str = "") -> None:
        with self._lock:
            if error:
                self.failures[instance_id] = error
            else:
                self.succeeded += 1

    def count_unchecked(self) -> None:
        with self._lock:
            self.unchecked += 1

    def copy(self) -> "SweepReport":
        """Return what is there now: threads may still add to this one."""
        with self._lock:
            return SweepReport(self.succeeded, self.unchecked, dict(self.failures))


def refresh_due_instances(
    *,
    at: datetime | None = None,
    limit: int = BATCH,
    concurrency: int = CONCURRENCY,
    patience: timedelta | None = None,
) -> SweepReport:
    """Refresh the tokens that are due, the most urgent first.

    Instances that another process holds are skipped. patience: how long to wait for the results; the report has those
    that are there by then.

    Raises ClockSkewError.
    """
    require_right_clock()
    now = at or timezone.now()
    due = Instance.objects.due_for_refresh(at=now).most_urgent_first()[:limit]

    def refresh(instance: Instance) -> None:
        refresh_instance(instance, actor=SCHEDULER, at=at)

    return _Sweep(refresh, _refreshes, due).run(concurrency, patience)


def work_due_instances(
    *,
    states: Iterable[str] = State.values,
    at: datetime | None = None,
    limit: int = BATCH,
    concurrency: int = CONCURRENCY,
    patience: timedelta | None = None,
) -> SweepReport:
    """Work on the instances that are due: check, reconcile or delete them.

    patience: as for refresh_due_instances(). Raises ClockSkewError.
    """
    require_right_clock()
    now = at or timezone.now()
    due = Instance.objects.due_for_work(at=now).filter(state__in=list(states))
    work = partial(work_instance, at=now)
    return _Sweep(work, _checks, due.shared_out()[:limit]).run(concurrency, patience)


def work_instance(instance: Instance, *, at: datetime) -> None:
    """Claim a due instance and do what its state requires; back off on errors.

    Does nothing if another process has claimed it. Raises what the work raises.
    """
    verbs: dict[str, Callable[..., object]] = {
        State.CONNECTED: check_instance,
        State.PROVISIONING: reconcile_instance,
        State.UNKNOWN: reconcile_instance,
        # The key may be missing only on this machine, so only a user may delete it without telling the platform.
        State.DELETING: partial(delete_instance, is_forced=False),
    }
    claim = Instance.objects.filter(
        pk=instance.pk, state=instance.state, next_action_at=instance.next_action_at
    )
    if claim.update(next_action_at=at + DELETION_RETRY) != 1:
        return
    current = Instance.objects.filter(pk=instance.pk).first()
    if current is None:
        return
    try:
        verbs[current.state](current, actor=SCHEDULER)
    except NoCheckError:
        _reschedule_check(current, at=at)
        raise
    except InstancesError as error:
        _reschedule(current, error, at=at)
        raise
    except Exception as error:
        if not is_outage(error):
            _reschedule(current, unexpected_error(current), at=at)
        raise
    _reschedule_check(current, at=at)


def _reschedule_check(instance: Instance, *, at: datetime) -> None:
    """Check a connected instance again tomorrow, or when its access token ends."""
    connected = Instance.objects.filter(pk=instance.pk, state=State.CONNECTED)
    for row in connected.select_related("element"):
        due = check_due_at(
            row.authentication,
            expires_at=row.expires_at,
            has_refresh_token=row.has_refresh_token,
            at=at,
        )
        connected.update(consecutive_failures=0, next_action_at=due)


def _reschedule(instance: Instance, error: InstancesError, *, at: datetime) -> None:
    """Retry later after each failure; without a due time, a person must act."""
    failures = instance.consecutive_failures + 1
    asked = error.retry_after_seconds if isinstance(error, PlatformError) else None
    is_refused = isinstance(error, CredentialsRefusedError | GrantRejectedError)
    wait = SECOND_ASKING if is_refused else retry_after(failures, asked_for_seconds=asked)
    due = at + wait
    row = Instance.objects.filter(pk=instance.pk).exclude(next_action_at=None)
    row.update(consecutive_failures=failures, next_action_at=due)
    if isinstance(error, StateConflictError | ClockSkewError):
        return
    # A check has stored the cause itself, except of an error of the program.
    states = {State.UNKNOWN, State.DELETING}
    states |= set() if isinstance(error, PlatformError) else {State.CONNECTED, State.PROVISIONING}
    Instance.objects.filter(pk=instance.pk, state__in=states).update(**cause_of(error))


class _Sweep:
    """Work on instances in several threads, each on the first one whose place has room."""

    def __init__(
        self, verb: Callable[[Instance], None], pacing: Pacing, due: InstanceQuerySet
    ) -> None:
        self._verb = verb
        self._pacing = pacing
        rows = due.select_related("organization_user__organization")
        # In order; removed when their work begins.
        self._waiting = [(place_of(instance), instance) for instance in rows]
        self._left = len(self._waiting)
        self._ended = Event()
        self._report = SweepReport()

    def run(self, concurrency: int, patience: timedelta | None) -> SweepReport:
        # Not daemons: a process that stops waits for answers with new tokens.
        count = min(concurrency, self._left)
        threads = [Thread(target=self._work_off, name="sweep") for _ in range(count)]
        for thread in threads:
            thread.start()
        has_ended = not threads or self._ended.wait(patience.total_seconds() if patience else None)
        with self._pacing.changed:
            self._waiting.clear()
            self._pacing.changed.notify_all()
        if has_ended:
            # They have nothing left to do but to close their connections.
            for thread in threads:
                thread.join()
        return self._report.copy()

    def _work_off(self) -> None:
        try:
            while taken := self._take():
                place, instance = taken
                error = _run(self._verb, instance, self._report)
                with self._pacing.changed:
                    self._pacing.end(place, error)
                    # Threads of another sweep may wait for this place.
                    self._pacing.changed.notify_all()
                    self._left -= 1
                    if not self._left:
                        self._ended.set()
        finally:
            connection.close()

    def _take(self) -> tuple[Place, Instance] | None:
        """Wait for an instance whose place has room; None if none is left."""
        with self._pacing.changed:
            while self._waiting:
                for number, (place, _) in enumerate(self._waiting):
                    if self._pacing.try_begin(place):
                        return self._waiting.pop(number)
                self._pacing.changed.wait()
        return None


def _run(
    verb: Callable[[Instance], None], instance: Instance, report: SweepReport
) -> Exception | None:
    """Work on an instance, and report how it ended; returns the error."""
    try:
        verb(instance)
    except NoCheckError as error:
        report.count_unchecked()
        return error
    except InstancesError as error:
        report.count(instance.pk, str(error))
        return error
    except Exception as error:  # one instance must not stop the others
        if is_outage(error):
            # The instance stays due.
            log.warning("sweep cannot reach the database", error=type(error).__name__)
            report.count(instance.pk, "The database could not be reached. Retrying automatically.")
        else:
            log.exception("sweep failed for an instance", uid=str(instance.uid))
            report.count(instance.pk, "An unexpected error occurred. See the log.")
        if isinstance(error, AnyDatabaseError):
            # The thread needs a new connection for the next one.
            connection.close()
        return error
    report.count(instance.pk)
    return None
