"""Count calls, failed sign-ins and unknown callbacks for a limited time.

CACHE_URL names a cache that all processes share; without it each process counts on its own. While the cache does not
answer, nothing is counted and no limit applies.
"""

from collections.abc import Callable

import structlog
from django.core.cache import cache

log = structlog.stdlib.get_logger(__name__)


def hit(key: str, *, seconds: int) -> int:
    """Increment a counter and return its value.

    It expires after seconds, counted from the first hit.
    """

    def increment() -> int:
        cache.add(key, 0, timeout=seconds)
        try:
            return cache.incr(key)
        except ValueError:  # evicted between the two
            return 0

    return _or_zero(increment)


def current(key: str) -> int:
    """Return a counter's value."""
    return _or_zero(lambda: cache.get(key, 0))


def remember(key: str, *, seconds: int) -> None:
    """Set a counter to 1 for seconds from now."""

    def set_to_one() -> int:
        cache.set(key, 1, timeout=seconds)
        return 1

    _or_zero(set_to_one)


def reset(key: str) -> None:
    """Delete a counter."""
    _or_zero(lambda: int(cache.delete(key)))


def _or_zero(call: Callable[[], int]) -> int:
    """Call the cache; return 0 if it does not answer."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  each backend raises its own errors
        log.warning("cache does not answer", error=type(error).__name__)
        return 0
