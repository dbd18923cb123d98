"""Periodic work: what a scheduler does at each turn.

A package adds its own by registering it at start-up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from instances.provisioning.lifecycle.pruning import prune
from instances.provisioning.lifecycle.sweeps import BATCH, refresh_due_instances, work_due_instances
from instances.provisioning.oauth.other_account import forget_unconfirmed

AT_EACH_TURN = timedelta(0)
PRUNE_INTERVAL = timedelta(hours=6)
# The next turn does not wait longer for slow providers.
PATIENCE = timedelta(seconds=10)
FORGET_INTERVAL = timedelta(minutes=1)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PeriodicWork:
    """`run` does what is due, and returns whether more is due right now.

    `interval` is the least time between two runs.
    """

    run: Callable[[], bool]
    interval: timedelta = AT_EACH_TURN


def register_periodic_work(work: PeriodicWork) -> None:
    """Have every scheduler do this work, too.

    It must be safe to run in several processes at once.
    """
    _registered.append(work)


class Timetable:
    """When this process does each registered work next.

    Each is due at the first turn.
    """

    def __init__(self) -> None:
        self._due_at: dict[PeriodicWork, datetime] = {}

    def run_due(self) -> bool:
        """Do all work that is due, the most frequent first.

        Returns whether more is due right now.

        Work that raises is due again at the next turn.
        """
        has_more = False
        now = timezone.now()
        for work in sorted(_registered, key=lambda work: work.interval):
            if now >= self._due_at.get(work, now):
                has_more = work.run() or has_more
                self._due_at[work] = now + work.interval
        return has_more


def _work_on_instances() -> bool:
    refreshed = refresh_due_instances(patience=PATIENCE)
    worked = work_due_instances(patience=PATIENCE)
    done = refreshed.succeeded + worked.succeeded
    failed = len(refreshed.failures) + len(worked.failures)
    if done or failed:
        log.info("scheduler finished due work", done=done, failed=failed)
    return done > 0 and max(refreshed.total, worked.total) >= BATCH


def _prune() -> bool:
    prune()
    return False


def _forget_unconfirmed() -> bool:
    forget_unconfirmed()
    return False


_registered = [
    PeriodicWork(_work_on_instances),
    PeriodicWork(_forget_unconfirmed, FORGET_INTERVAL),
    PeriodicWork(_prune, PRUNE_INTERVAL),
]
