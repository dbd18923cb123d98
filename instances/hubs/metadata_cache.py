"""What providers say about their objects, kept for an hour in this process."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from instances.deadlines import Deadline
from instances.hubs.session import HubSession

LIFETIME = timedelta(hours=1)
MAX_ENTRIES = 500

_entries: OrderedDict[tuple[Any, ...], tuple[Deadline, Any]] = OrderedDict()
_lock = threading.Lock()


def cached[T](session: HubSession, key: tuple[str, ...], ask: Callable[[], T]) -> T:
    """Return what is known for the instance's key, or ask the provider.

    An instance that is moved to another address asks again.
    """
    full_key = (session.instance.pk, session.base_url, *key)
    with _lock:
        known = _entries.get(full_key)
    if known and not known[0].has_passed:
        found: T = known[1]
        return found
    found = ask()
    with _lock:
        _entries[full_key] = (Deadline(LIFETIME), found)
        while len(_entries) > MAX_ENTRIES:
            _entries.popitem(last=False)
    return found


def forget_all() -> None:
    with _lock:
        _entries.clear()
