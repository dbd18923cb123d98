"""Check passwords for all sign-ins, and refuse sign-ins after too many failures.

Failures are counted in windows of 15 minutes, under three keys:

- name and address: one person's mistakes affect nobody else;
- address: one client cannot try many names;
- name: guesses from many addresses are slowed.

If a user signed in from an address during the last 30 days, only the first limit applies to that user there.
So neither distributed guesses nor guesses from a shared address lock users out of their usual places.
"""

import json
import time
import unicodedata
from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import ngettext

from instances import counters
from instances.client_address import client_address
from instances.crypto import sealing
from instances.errors import TooManyAttemptsError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

WINDOW_SECONDS = 15 * 60
FAMILIAR_SECONDS = 30 * 24 * 60 * 60


def check_password(request: HttpRequest | None, name: str, password: str) -> "User | None":
    """Return the active user with this name and password, or None.

    Unknown names take the same time.

    Raises TooManyAttemptsError after too many failures, even if the password is right.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    familiar, limits = _limits(folded, client_address(request) if request else "")
    _require_below(limits)
    user = authenticate(request, username=name, password=password)
    if user is None:
        _count_failure(limits)
        return None
    # Guesses may run in parallel: refuse a right one that finishes after the limit was reached.
    _require_below(limits)
    counters.reset(next(iter(limits)))
    counters.remember(familiar, seconds=FAMILIAR_SECONDS)
    return user


def with_retry_after[Response: HttpResponseBase](response: Response) -> Response:
    """Turn the page of a throttled sign-in form into a 429 response (RFC 6585 4)."""
    context = getattr(response, "context_data", None) or {}
    seconds = getattr(context.get("form"), "retry_after_seconds", 0)
    if seconds:
        response.status_code = 429
        response.headers["Retry-After"] = str(seconds)
    return response


def _limits(name: str, address: str) -> tuple[str, dict[str, int]]:
    """Return the "familiar" key and the limit of each key, name and address first."""
    window = str(int(time.time()) // WINDOW_SECONDS)
    familiar = _key("familiar", name, address)
    limits = {_key("both", window, name, address): settings.SIGN_IN_FAILURES_ALLOWED}
    if not counters.current(familiar):
        limits[_key("address", window, address)] = settings.SIGN_IN_FAILURES_PER_ADDRESS
        limits[_key("name", window, name)] = settings.SIGN_IN_FAILURES_PER_NAME
    return familiar, limits


def _key(*parts: str) -> str:
    return f"sign-in:{sealing.digest(json.dumps(parts))}"


def _require_below(limits: Mapping[str, int]) -> None:
    """Raise TooManyAttemptsError if a key has reached its limit; 0 means no limit."""
    if any(counters.current(key) >= limit > 0 for key, limit in limits.items()):
        raise _too_many()


def _count_failure(limits: Mapping[str, int]) -> None:
    """Count a failure.

    Raises TooManyAttemptsError beyond a limit, which hides that this guess was wrong.
    """
    # Twice the window, so that a key exists until its window ends.
    counts = {key: counters.hit(key, seconds=2 * WINDOW_SECONDS) for key in limits}
    if any(counts[key] > limit > 0 for key, limit in limits.items()):
        raise _too_many()


def _too_many() -> TooManyAttemptsError:
    seconds = WINDOW_SECONDS - int(time.time()) % WINDOW_SECONDS
    minutes = ceil(seconds / 60)
    message = ngettext(
        "Too many failed sign-ins. Try again in %(minutes)d minute.",
        "Too many failed sign-ins. Try again in %(minutes)d minutes.",
        minutes,
    )
    return TooManyAttemptsError(message % {"minutes": minutes}, retry_after_seconds=seconds)
