"""What is counted for a while, in the cache: calls, failed sign-ins, and callbacks that belong to no trip.

CACHE_URL names a cache that all processes share; without it each counts for itself. While the cache does not answer,
nothing is counted and nobody is stopped.
"""

from collections.abc import Callable

import structlog
from django.core.cache import cache

log = structlog.stdlib.get_logger(__name__)


def hit(key: str, *, seconds: int) -> int:
    """Count once more; how often by now. It is forgotten so many seconds after the first time."""

    def add() -> int:
        cache.add(key, 0, timeout=seconds)
        try:
            return cache.incr(key)
        except ValueError:  # evicted between the two
            return 0

    return _asked(add)


def current(key: str) -> int:
    """How often by now."""
    return _asked(lambda: cache.get(key, 0))


def remember(key: str, *, seconds: int) -> None:
    """Let counted() be 1 for so many seconds from now."""

    def put() -> int:
        cache.set(key, 1, timeout=seconds)
        return 1

    _asked(put)


def reset(key: str) -> None:
    """Begin anew."""
    _asked(lambda: int(cache.delete(key)))


def _asked(question: Callable[[], int]) -> int:
    try:
        return question()
    except Exception as error:  # noqa: BLE001  each backend has errors of its own
        log.warning("cache does not answer", error=type(error).__name__)
        return 0
