"""How many calls a minute are answered."""

import time

from instances.counters import hit

WINDOW_SECONDS = 60
# Calls without secrets that make this server call a provider, from one address.
PUBLIC_EXCHANGES_PER_MINUTE = 30


class RateLimitExceededError(Exception):
    """Answered 429; the next window begins in retry_after_seconds."""

    def __init__(self, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"More than {limit} calls in a minute; go on in {retry_after_seconds} seconds"
        )
        self.retry_after_seconds = retry_after_seconds


def count_call(who: str, *, limit: int) -> None:
    """Count one call of whoever it is. Raises RateLimitExceededError past the limit; 0 means no limit."""
    if not limit:
        return
    now = int(time.time())
    key = f"api-calls:{who}:{now // WINDOW_SECONDS}"
    if hit(key, seconds=2 * WINDOW_SECONDS) > limit:
        raise RateLimitExceededError(limit, WINDOW_SECONDS - now % WINDOW_SECONDS)
