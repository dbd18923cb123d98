"""Decide when an instance is refreshed, checked, reconciled or deleted next."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings

from instances.catalogue.authentication import AuthenticationType
from instances.models import Instance
from instances.platforms.base import TokenSet

CHECK_INTERVAL = timedelta(days=1)
FIRST_RETRY = timedelta(minutes=2)
LAST_RETRY = timedelta(hours=1)
# Limits the rate of refreshes if a provider returns tokens that have already expired.
SHORTEST_WAIT = timedelta(seconds=30)
# Provisioning that takes longer was interrupted: this exceeds a process's whole HTTP time budget.
STALE_AFTER = timedelta(minutes=2)
# A create is sent within this time or not at all, since another process may create it afterwards.
SEND_WITHIN = timedelta(seconds=30)
# How long a create whose response was lost may still be in progress at the platform.
CREATE_GRACE_PERIOD = timedelta(minutes=1)
# When to continue a deletion that did not finish; its process may have been killed.
DELETION_RETRY = timedelta(seconds=40)

_WORK_DUE_AFTER: Mapping[str, timedelta | None] = {
    Instance.State.PROVISIONING: STALE_AFTER,
    Instance.State.UNKNOWN: CREATE_GRACE_PERIOD,
    Instance.State.DELETING: DELETION_RETRY,
    Instance.State.CONNECTED: CHECK_INTERVAL,
}


def lease_duration() -> timedelta:
    """Return how long a lease lasts unless it is renewed.

    It exceeds the whole HTTP time budget of a refresh, so it lasts even if the database is down and cannot renew it.
    """
    seconds = max(settings.REFRESH_TIMEOUT_SECONDS, settings.HTTP_TIMEOUT_SECONDS)
    return timedelta(seconds=seconds + 0.5 * settings.HTTP_TIMEOUT_SECONDS + 5)


def next_action_at(state: str, *, at: datetime) -> datetime | None:
    """Return when an instance that enters this state is due; None if it is not.

    Checks are spread over the day, so that instances created together are not checked together.
    """
    after = _WORK_DUE_AFTER.get(state)
    if after is None:
        return None
    return at + (_spread(after) if state == Instance.State.CONNECTED else after)


def check_due_at(
    way: AuthenticationType,
    *,
    expires_at: datetime | None,
    has_refresh_token: bool | None,
    at: datetime,
) -> datetime:
    """Return when to check a connected instance next: tomorrow, or when a token that cannot be renewed ends."""
    tomorrow = at + _spread(CHECK_INTERVAL)
    is_renewed = has_refresh_token or way.signs_in_alone
    if expires_at is None or expires_at <= at or is_renewed:
        return tomorrow
    return min(tomorrow, expires_at)


def refresh_due_at(way: AuthenticationType, tokens: TokenSet, *, at: datetime) -> datetime | None:
    """Return when to refresh: after half of the token's life, at least 30 seconds.

    None if the tokens cannot be refreshed, or if their expiry is unknown: then the first 401 triggers the refresh
    (RFC 6749 5.1: expires_in is only RECOMMENDED).
    """
    if not can_refresh(way, tokens):
        return None
    if not tokens.access_token:
        return at
    if tokens.expires_at is None:
        return None
    return at + max((tokens.expires_at - at) / 2, SHORTEST_WAIT)


def can_refresh(way: AuthenticationType, tokens: TokenSet) -> bool:
    """Return whether a refresh token or a grant without a browser can get new tokens."""
    return bool(tokens.refresh_token) or way.signs_in_alone


def retry_after(failures: int, *, asked_for_seconds: float | None = None) -> timedelta:
    """Return how long to wait after a number of consecutive failures.

    2 minutes, doubling up to an hour, with jitter. asked_for_seconds: the provider's Retry-After, which is the minimum
    (at most a day).
    """
    wait = _spread(min(FIRST_RETRY * 2 ** min(max(failures - 1, 0), 10), LAST_RETRY))
    asked = timedelta(seconds=min(asked_for_seconds or 0, CHECK_INTERVAL.total_seconds()))
    return max(wait, asked)


def _spread(duration: timedelta) -> timedelta:
    return duration * random.uniform(0.8, 1.2)  # noqa: S311  not for secrecy
