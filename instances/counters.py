"""Count calls, failed sign-ins and unknown callbacks for a limited time.

CACHE_URL names a cache that all processes share; without it each process counts on its own. So it does for a while when
the cache does not answer.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog
from django.core.cache import BaseCache, caches

from instances.deadlines import Deadline

# How long a cache that did not answer is left alone.
LEFT_ALONE = timedelta(seconds=10)

log = structlog.stdlib.get_logger(__name__)


def hit(key: str, *, seconds: int) -> int:
    """Increment a counter and return its value.

    It expires after seconds, counted from the first hit.
    """

    def increment(cache: BaseCache) -> int:
        cache.add(key, 0, timeout=seconds)
        try:
            return int(cache.incr(key))
        except ValueError:  # evicted between the two
            return 0

    return _count(increment)


def current(key: str) -> int:
    """Return a counter's value."""
    return _count(lambda cache: int(cache.get(key, 0)))


def remember(key: str, *, seconds: int) -> None:
    """Set a counter to 1 for seconds from now."""

    def set_to_one(cache: BaseCache) -> int:
        cache.set(key, 1, timeout=seconds)
        return 1

    _count(set_to_one)


def reset(key: str) -> None:
    """Delete a counter."""
    _count(lambda cache: int(cache.delete(key)))


# Until when this process leaves the shared cache alone.
_left_alone = Deadline(timedelta(0))


def _count(call: Callable[[BaseCache], int]) -> int:
    """Call the shared cache, or this process's own while that does not answer."""
    if _left_alone.has_passed:
        try:
            return call(caches["default"])
        except Exception as error:  # noqa: BLE001  each backend raises its own errors
            _left_alone.move_to(Deadline(LEFT_ALONE))
            log.warning("cache does not answer", error=type(error).__name__)
    return call(caches["memory"])
