"""Leases: an instance belongs to one process at a time while it is refreshed or worked on."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.utils import timezone

from instances.models import Instance
from instances.provisioning.due_times import lease_duration

POLL_SECONDS = 0.1


@contextmanager
def leased(
    instance_id: int,
    *,
    at: datetime | None = None,
    expect: Mapping[str, Any] | None = None,
    **intent: datetime,
) -> Iterator[UUID | None]:
    """Hold the instance's lease in the block, renewing it while it lasts.

    None when somebody else has it, or when its columns are not as expected any more. A killed process's lease
    runs out by itself. intent: columns written with the claim.
    """
    holder = uuid4()
    now = at or timezone.now()
    free = Instance.objects.filter(pk=instance_id, **(expect or {})).unleased(at=now)
    claimed = free.update(lease_holder=holder, leased_until=now + lease_duration(), **intent)
    if claimed != 1:
        yield None
        return
    ended = threading.Event()
    keeper = threading.Thread(target=_renew, args=(instance_id, holder, ended), daemon=True)
    keeper.start()
    try:
        yield holder
    finally:
        ended.set()
        keeper.join()
        Instance.objects.filter(pk=instance_id, lease_holder=holder).update(
            lease_holder=None, leased_until=None
        )


def wait_until_unleased(instance_id: int) -> None:
    """Wait for whoever holds the instance's lease; it runs out by itself where that process was killed."""
    while Instance.objects.filter(pk=instance_id, leased_until__gt=timezone.now()).exists():
        time.sleep(POLL_SECONDS)


def _renew(instance_id: int, holder: UUID, ended: threading.Event) -> None:
    """Keep the lease while a provider is slower than it; most are not, and then no query is made."""
    try:
        while not ended.wait(lease_duration().total_seconds() / 3):
            Instance.objects.filter(pk=instance_id, lease_holder=holder).update(
                leased_until=timezone.now() + lease_duration()
            )
    finally:
        connection.close()
