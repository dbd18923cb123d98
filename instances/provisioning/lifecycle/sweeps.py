"""Work that is due, done by any process that turns to it: refreshes, checks, lost answers, unfinished deletions.

Every instance is claimed, so any number of schedulers may run these at once: a refresh by its lease, other work by
putting off its due time, which also brings it back when its process is killed.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Lock

import structlog
from django.db import Error as AnyDatabaseError, connection
from django.utils import timezone

from instances.errors import (
    ClockSkewError,
    InstancesError,
    RateLimitedError,
    StateConflictError,
)
from instances.models import Instance
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.reconcile import reconcile_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.lifecycle.schedule import DELETION_RETRY, next_action_at, retry_after
from instances.provisioning.lifecycle.states import State, cause_of
from instances.queries.database_clock import require_right_clock

SCHEDULER = "scheduler"
CONCURRENCY = 32
# Checks have no hurry: so many at once at one provider.
CHECKS_PER_ELEMENT = 4
BATCH = 500

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class SweepReport:
    """What a sweep did: how many went well, and the sentence of each that did not, by instance id."""

    succeeded: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def total(self) -> int:
        return self.succeeded + len(self.failures)

    def add(self, other: "SweepReport") -> None:
        self.succeeded += other.succeeded
        self.failures |= other.failures

    def count(self, instance_id: int, error: str = "") -> None:
        with self._lock:
            if error:
                self.failures[instance_id] = error
            else:
                self.succeeded += 1


def refresh_due_instances(
    *, at: datetime | None = None, limit: int = BATCH, concurrency: int = CONCURRENCY
) -> SweepReport:
    """Refresh whatever is due, longest overdue first; what another process holds is left to it.

    Raises ClockSkewError.
    """
    require_right_clock()
    now = at or timezone.now()
    due = Instance.objects.due_for_refresh(at=now)[:limit]

    def refresh(instance: Instance) -> None:
        refresh_instance(instance, actor=SCHEDULER, at=at)

    return _sweep(list(due), refresh, concurrency=concurrency)


def work_due_instances(
    *,
    states: Iterable[str] = State.values,
    at: datetime | None = None,
    limit: int = BATCH,
    concurrency: int = CONCURRENCY,
) -> SweepReport:
    """Check what is connected, reconcile what is unknown, delete what was being deleted, where it is due.

    Raises ClockSkewError.
    """
    require_right_clock()
    now = at or timezone.now()
    due = Instance.objects.due_for_work(at=now).filter(state__in=list(states))[:limit]
    instances = list(due)
    gates = {
        element_id: BoundedSemaphore(CHECKS_PER_ELEMENT)
        for element_id in {instance.element_id for instance in instances}
    }

    def work(instance: Instance) -> None:
        with gates[instance.element_id]:
            _work(instance, at=now)

    return _sweep(instances, work, concurrency=concurrency)


def _work(instance: Instance, *, at: datetime) -> None:
    """The one verb that an instance's state asks for; an outage is met again after a longer while."""
    verbs: dict[str, Callable[..., object]] = {
        State.CONNECTED: check_instance,
        State.PROVISIONING: reconcile_instance,
        State.UNKNOWN: reconcile_instance,
        # The key may only be missing on this machine: nothing is forgotten without somebody asking for it.
        State.DELETING: partial(delete_instance, is_forced=False),
    }
    claim = Instance.objects.filter(
        pk=instance.pk, state=instance.state, next_action_at=instance.next_action_at
    )
    if claim.update(next_action_at=at + DELETION_RETRY) != 1:
        return
    current = Instance.objects.get(pk=instance.pk)
    try:
        verbs[current.state](current, actor=SCHEDULER)
    except InstancesError as error:
        _put_off(current, error, at=at)
        raise
    Instance.objects.filter(pk=current.pk, state=State.CONNECTED).update(
        consecutive_failures=0, next_action_at=next_action_at(State.CONNECTED, at=at)
    )


def _put_off(instance: Instance, error: InstancesError, *, at: datetime) -> None:
    """Wait longer after each failure. What a person has to act on has no due time, and gets none."""
    failures = instance.consecutive_failures + 1
    asked = error.retry_after_seconds if isinstance(error, RateLimitedError) else None
    due = at + retry_after(failures, asked_for_seconds=asked)
    row = Instance.objects.filter(pk=instance.pk).exclude(next_action_at=None)
    row.update(consecutive_failures=failures, next_action_at=due)
    if isinstance(error, StateConflictError | ClockSkewError):
        return
    unfinished = Instance.objects.filter(state__in=[State.UNKNOWN, State.DELETING])
    unfinished.filter(pk=instance.pk).update(**cause_of(error))


def _sweep(
    instances: list[Instance], verb: Callable[[Instance], None], *, concurrency: int
) -> SweepReport:
    report = SweepReport()
    waiting = SimpleQueue[Instance]()
    for instance in instances:
        waiting.put(instance)

    def work_off() -> None:
        try:
            while True:
                _run(verb, waiting.get_nowait(), report)
        except Empty:
            connection.close()

    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        for _ in range(min(concurrency, len(instances))):
            pool.submit(work_off)
    return report


def _run(verb: Callable[[Instance], None], instance: Instance, report: SweepReport) -> None:
    try:
        verb(instance)
        report.count(instance.pk)
    except InstancesError as error:
        report.count(instance.pk, str(error))
    except AnyDatabaseError as error:
        # It is still due. The next one of this thread needs another connection.
        connection.close()
        log.warning("sweep cannot reach the database", error=type(error).__name__)
        report.count(instance.pk, "The database could not be reached; it will be tried again.")
    except Exception:  # one instance must not stop the others
        log.exception("sweep failed at an instance", uid=str(instance.uid))
        report.count(instance.pk, "An unexpected fault; the log holds it.")
