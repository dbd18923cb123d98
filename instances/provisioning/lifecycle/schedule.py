"""When an instance is turned to again: refreshed, checked, reconciled, or deleted to the end."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings

from instances.catalogue.definition import AuthenticationType, GrantType
from instances.models import Instance
from instances.platforms.base import TokenSet

CHECK_INTERVAL = timedelta(days=1)
FIRST_RETRY = timedelta(minutes=2)
LAST_RETRY = timedelta(hours=1)
REFRESH_MARGIN = timedelta(minutes=15)
# A provider whose tokens are dead on arrival is not asked for others without a pause.
SHORTEST_WAIT = timedelta(seconds=30)
# A process that has not ended provisioning by now is gone: its whole HTTP budget is a part of this.
STALE_AFTER = timedelta(minutes=2)
# A create leaves within this, or not at all: what is sent later could meet another process's.
SEND_WITHIN = timedelta(seconds=30)
# A create whose answer was lost may still be under way at the platform for so long.
CREATE_GRACE_PERIOD = timedelta(minutes=1)
# A deletion that did not end is gone on with after this; its process may have been killed.
DELETION_RETRY = timedelta(seconds=40)

_WORK_DUE_AFTER: Mapping[str, timedelta | None] = {
    Instance.State.PROVISIONING: STALE_AFTER,
    Instance.State.UNKNOWN: CREATE_GRACE_PERIOD,
    Instance.State.DELETING: DELETION_RETRY,
    Instance.State.CONNECTED: CHECK_INTERVAL,
}


def lease_duration() -> timedelta:
    """Longer than the whole HTTP budget of a refresh: it lasts although the database cannot be asked to renew it."""
    seconds = max(settings.REFRESH_TIMEOUT_SECONDS, settings.HTTP_TIMEOUT_SECONDS)
    return timedelta(seconds=seconds + 0.5 * settings.HTTP_TIMEOUT_SECONDS + 5)


def next_action_at(state: str, *, at: datetime) -> datetime | None:
    """When an instance that enters this state is turned to; None where a person has to act first.

    Checks are spread over the day, so that what was made at once is not checked at once.
    """
    after = _WORK_DUE_AFTER.get(state)
    if after is None:
        return None
    return at + (_spread(after) if state == Instance.State.CONNECTED else after)


def refresh_due_at(way: AuthenticationType, tokens: TokenSet, *, at: datetime) -> datetime | None:
    """At half of the access token's life, at the latest 15 minutes before its end; None: cannot or need not be.

    Without a known end, the first 401 tells (RFC 6749 5.1: expires_in is only RECOMMENDED).
    """
    if not can_refresh(way, tokens):
        return None
    if not tokens.access_token:
        return at
    if tokens.expires_at is None:
        return None
    life = tokens.expires_at - at
    if life > 2 * REFRESH_MARGIN:
        return at + min(life / 2, life - REFRESH_MARGIN)
    return at + max(life / 2, SHORTEST_WAIT)


def can_refresh(way: AuthenticationType, tokens: TokenSet) -> bool:
    """With a refresh token, or by asking again with credentials that need no browser."""
    by_credentials = way.grant_type in {GrantType.PASSWORD, GrantType.CLIENT_CREDENTIALS}
    return bool(tokens.refresh_token) or by_credentials


def retry_after(failures: int, *, asked_for_seconds: float | None = None) -> timedelta:
    """How long to wait after so many failures in a row: 2 minutes, doubling to an hour, with jitter.

    asked_for_seconds: the provider's Retry-After, which is never undercut (at most a day).
    """
    wait = _spread(min(FIRST_RETRY * 2 ** min(max(failures - 1, 0), 10), LAST_RETRY))
    asked = timedelta(seconds=min(asked_for_seconds or 0, CHECK_INTERVAL.total_seconds()))
    return max(wait, asked)


def _spread(duration: timedelta) -> timedelta:
    return duration * random.uniform(0.8, 1.2)  # noqa: S311  not for secrecy
