"""Lease instances, so that only one process at a time refreshes one.

Leases use the database's time, so that no machine's clock can end or extend one.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import Error as AnyDatabaseError, connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from instances.deadlines import Deadline
from instances.models import Instance
from instances.provisioning.lifecycle.schedule import lease_duration
from instances.queries.database_clock import require_right_clock
from instances.queries.outages import outlast_outage

POLL_SECONDS = 0.1
RENEWAL_RETRY_SECONDS = 0.5
# Longer than a restart of the database usually takes. After that the lease expires.
RELEASE_WITHIN = timedelta(seconds=5)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that this process holds.

    holder: identifies it in the row until another process takes the instance over. deadline: nothing is sent after it;
    it moves when the lease is renewed.
    """

    holder: UUID
    deadline: Deadline = field(repr=False)


@contextmanager
def leased(
    instance_id: int,
    *,
    at: datetime | None = None,
    expect: Mapping[str, Any] | None = None,
    **intent: datetime,
) -> Iterator[Lease | None]:
    """Hold the instance's lease for a block, and renew it meanwhile.

    Gives None if another process holds the lease, or if the columns in expect have changed. The lease of a killed
    process expires. at: used in place of the database's time. intent: columns to write with the claim.

    Raises ClockSkewError.
    """
    if at is None:
        require_right_clock()
    lease = Lease(uuid4(), deadline_of(lease_duration()))
    now = at or Now()
    free = Instance.objects.filter(pk=instance_id, **(expect or {})).unleased(at=now)
    claimed = free.update(lease_holder=lease.holder, leased_until=now + lease_duration(), **intent)
    if claimed != 1:
        yield None
        return
    held = Instance.objects.filter(pk=instance_id, lease_holder=lease.holder)
    try:
        with renewed(held, "leased_until", lease_duration(), lease.deadline):
            yield lease
    finally:
        _release(instance_id, lease)


def wait_until_unleased(instance_id: int) -> None:
    """Wait until no process holds the lease; that of a killed process expires."""
    while Instance.objects.filter(pk=instance_id, leased_until__gt=Now()).exists():
        time.sleep(POLL_SECONDS)


def deadline_of(duration: timedelta) -> Deadline:
    """Return a deadline that passes shortly before a lease of this duration ends.

    Call it before the lease is taken or renewed. The margin is for requests that are on their way.
    """
    return Deadline(0.9 * duration)


@contextmanager
def renewed(
    held: QuerySet[Any], column: str, duration: timedelta, deadline: Deadline, *, count: int = 1
) -> Iterator[None]:
    """Renew a lease for a block, and move its deadline with it.

    held: the rows that this process holds, `count` of them; if they become fewer, another process has taken over and
    nothing is renewed any more. column: until when they are held.
    """
    ended = threading.Event()
    arguments = (held, column, duration, deadline, count, ended)
    keeper = threading.Thread(target=_renew, args=arguments, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        # The thread may be waiting for a database that does not respond.
        keeper.join(timeout=RELEASE_WITHIN.total_seconds())


def _renew(
    held: QuerySet[Any],
    column: str,
    duration: timedelta,
    deadline: Deadline,
    count: int,
    ended: threading.Event,
) -> None:
    """Renew the lease while the provider is slow; for a fast one no query is made."""
    wait_seconds = duration.total_seconds() / 3
    try:
        while not ended.wait(wait_seconds):
            later = deadline_of(duration)
            try:
                renewed_count = held.update(**{column: Now() + duration})
            except AnyDatabaseError as error:
                log.warning("lease not renewed yet", error=type(error).__name__)
                connection.close()
                wait_seconds = min(wait_seconds, RENEWAL_RETRY_SECONDS)
                continue
            if renewed_count != count:
                return
            deadline.move_to(later)
            wait_seconds = duration.total_seconds() / 3
    finally:
        connection.close()


def _release(instance_id: int, lease: Lease) -> None:
    held = Instance.objects.filter(pk=instance_id, lease_holder=lease.holder)
    try:
        outlast_outage(
            lambda: held.update(lease_holder=None, leased_until=None),
            what="end of a lease",
            duration=RELEASE_WITHIN,
        )
    except AnyDatabaseError as error:
        if connection.in_atomic_block:
            raise
        log.warning("lease not released, so it will expire", error=type(error).__name__)
