"""At most API_CALLS_PER_MINUTE calls a minute of one organization user."""

import time

from django.conf import settings
from django.core.cache import cache

from instances.models import OrganizationUser

WINDOW_SECONDS = 60


class RateLimitExceededError(Exception):
    """Answered 429; the next window begins in retry_after_seconds."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"More than {settings.API_CALLS_PER_MINUTE} calls in a minute; "
            f"go on in {retry_after_seconds} seconds"
        )
        self.retry_after_seconds = retry_after_seconds


def count_call(user: OrganizationUser) -> None:
    """Count one call in this process's cache. Raises RateLimitExceededError past the limit; 0 means no limit."""
    if not settings.API_CALLS_PER_MINUTE:
        return
    now = int(time.time())
    key = f"api-calls:{user.pk}:{now // WINDOW_SECONDS}"
    cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
    try:
        calls = cache.incr(key)
    except ValueError:  # evicted between the two calls
        return
    if calls > settings.API_CALLS_PER_MINUTE:
        raise RateLimitExceededError(WINDOW_SECONDS - now % WINDOW_SECONDS)
