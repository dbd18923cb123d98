"""Rate limit of API calls, per minute."""

import time

from instances.counters import hit

WINDOW_SECONDS = 60
# From one client address, for calls without secrets that make this server call a provider.
PUBLIC_EXCHANGES_PER_MINUTE = 30


class RateLimitExceededError(Exception):
    """Answered with 429. The next window starts in retry_after_seconds."""

    def __init__(self, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"The limit of {limit} calls per minute is exceeded; retry in {retry_after_seconds} seconds"
        )
        self.retry_after_seconds = retry_after_seconds


def count_call(who: str, *, limit: int) -> None:
    """Count a call by `who`.

    limit: calls per minute; 0 means no limit. Raises RateLimitExceededError.
    """
    if not limit:
        return
    now = int(time.time())
    key = f"api-calls:{who}:{now // WINDOW_SECONDS}"
    if hit(key, seconds=2 * WINDOW_SECONDS) > limit:
        raise RateLimitExceededError(limit, WINDOW_SECONDS - now % WINDOW_SECONDS)
