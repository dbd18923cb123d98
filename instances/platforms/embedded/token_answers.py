"""Read the responses of token endpoints as providers send them, not only as RFC 6749 5.1 says."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from django.utils import timezone

from instances.catalogue.parts import TokenAnswer
from instances.catalogue.refresh_tokens import RefreshTokenFacts
from instances.platforms.base import PlatformRequest, TokenSet
from instances.platforms.embedded.accounts import account_in, value_at
from instances.platforms.transport import (
    FIRST_INSTANT,
    FIRST_MILLISECONDS,
    Answer,
    json_of,
    media_type,
    text_of,
)
from instances.redaction import storable

_FORM = "application/x-www-form-urlencoded"
_JSONP = re.compile(r"\s*[\w.$]{1,100}\s*\(\s*(\{.*\})\s*\)\s*;?\s*", re.DOTALL)
# Objects that some providers wrap the tokens in; authed_user holds Slack's user tokens.
_WRAPPERS = ("data", "result", "response", "authed_user")
_STANDARD_FIELDS = {
    "access_token", "code", "error", "errcode", "expires", "expires_at", "expires_in", "expires_in_sec", "expires_on",
    "id_token", "refresh_token", "scope", "token_type",
}  # fmt: skip
# In this order, because some providers send expires_in in milliseconds beside expires_in_sec.
_LIFETIMES = ("expires_in_sec", "expires_in", "expires")
_INSTANTS = ("expires_on", "expires_at")
# The same of the refresh token.
_REFRESH_LIFETIMES = (
    "refresh_token_expires_in",
    "x_refresh_token_expires_in",
    "refresh_expires_in",
)
_REFRESH_INSTANTS = ("refresh_token_expires_at",)
# A longer life counts as this long.
_LONGEST_LIFE = timedelta(days=3650)
# Scopes that responses do not name, although they were granted.
_SILENT_SCOPES = {"offline_access", "offline", "openid", ".default", "refresh_token"}


def token_document(answer: Answer) -> dict[str, Any] | None:
    """Return the fields of a response: JSON, JSONP or a form; None if it is none of these."""
    document = json_of(answer)
    if isinstance(document, dict):
        return document
    text = text_of(answer)
    if call := _JSONP.fullmatch(text):
        try:
            return dict(json.loads(call[1]))
        except (ValueError, RecursionError):
            return None
    is_form = media_type(answer.headers.get("Content-Type")) == _FORM
    if is_form or text.startswith(("access_token=", "error=")):
        return dict(parse_qsl(text)) or None
    return None


def is_refusal(document: Mapping[str, Any]) -> bool:
    """Whether a response with any status is an error.

    Some providers send null, "" or 0 as the error of a success.
    """
    if document.get("error"):
        return True
    is_failed = document.get("ok") is False or document.get("success") is False
    return is_failed or bool(document.get("errcode") or document.get("errors"))


def token_set(
    document: Mapping[str, Any],
    request: PlatformRequest,
    *,
    asked_scope: str | None,
    is_refresh: bool = False,
) -> TokenSet:
    """Return the tokens of a response; without an access token, an empty one.

    What the response leaves out stays as it was: the refresh token, the scope, the values for later calls. is_refresh:
    whether they were got by the stored refresh token, and not by a new consent.
    """
    way, before = request.authentication, request.tokens or TokenSet("")
    fields = {**_unwrapped(document), **_mapped(document, way.token_answer)}
    texts = {name: text for name, value in fields.items() if (text := _text(value)) is not None}
    kept = {
        name: request.provider_data[name]
        for name in way.provider_data
        if name in request.provider_data
    }
    extra = {**before.extra, **kept, **_texts_only(fields)}
    scope, now = texts.get("scope") or before.scope, timezone.now()
    refresh_token = texts.get("refresh_token") or before.refresh_token
    ends = _refresh_token_ends(fields, way, before if is_refresh else None, now=now)
    return TokenSet(
        access_token=texts.get("access_token", ""),
        refresh_token=refresh_token,
        scope=scope,
        expires_at=_ends_at(fields, _LIFETIMES, _INSTANTS, now=now),
        refresh_expires_at=min(filter(None, ends), default=None) if refresh_token else None,
        grant_expires_at=ends[1],
        extra={name: value for name, value in extra.items() if name not in _STANDARD_FIELDS},
        missing_scopes=_missing_scopes(asked_scope or "", scope),
        account=account_in({**document, **fields, **kept}, way.account_fields),
    )


def _unwrapped(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object that holds the access token."""
    if document.get("access_token"):
        return document
    inner = (document.get(name) for name in _WRAPPERS)
    holders = (value for value in inner if isinstance(value, dict) and value.get("access_token"))
    return next(holders, document)


def _mapped(document: Mapping[str, Any], places: TokenAnswer) -> dict[str, Any]:
    """Return the fields that the element's file says where to find."""
    stated = places.model_dump(exclude_none=True)
    return {name: value_at(document, path) for name, path in stated.items()}


def _text(value: Any) -> str | None:
    """Return a text or a whole number as text: some providers issue numbers as tokens."""
    if isinstance(value, str):
        return storable(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _texts_only(fields: Mapping[str, Any]) -> dict[str, str]:
    return {
        storable(name): storable(value) for name, value in fields.items() if isinstance(value, str)
    }


def _ends_at(
    fields: Mapping[str, Any],
    lifetimes: tuple[str, ...],
    instants: tuple[str, ...],
    *,
    now: datetime,
) -> datetime | None:
    """Return when a token ends, by the first of these fields; None if that is unknown.

    expires_in is only RECOMMENDED (RFC 6749 5.1), and 0 or -1 means that the token does not end. A number that is too
    large for a lifetime is an instant.
    """
    for name in (*lifetimes, *instants):
        if fields.get(name) is None:
            continue
        number = _number(fields[name])
        if number is None:
            ends = _parsed(fields[name]) if name in instants else None
        elif number <= 0:
            # Whatever it means; and no date is that long ago.
            ends = None
        elif name in instants or number >= FIRST_INSTANT:
            ends = _instant(number)
        else:
            ends = now + min(timedelta(seconds=min(number, 1e9)), _LONGEST_LIFE)
        if ends is None or ends <= now:
            return None
        return min(ends, now + _LONGEST_LIFE)
    return None


def _refresh_token_ends(
    fields: Mapping[str, Any],
    facts: RefreshTokenFacts,
    refreshed: TokenSet | None,
    *,
    now: datetime,
) -> tuple[datetime | None, datetime | None]:
    """Return when the refresh token ends if it is not used, and when its grant does.

    refreshed: the tokens that were refreshed; None after a new consent.
    """
    stated = _ends_at(fields, _REFRESH_LIFETIMES, _REFRESH_INSTANTS, now=now)
    unused = stated or _in_days(facts.refresh_token_idle_days, now)
    if refreshed is None:
        return unused, _in_days(facts.refresh_token_max_days, now)
    is_same = not fields.get("refresh_token")
    return unused or (refreshed.refresh_expires_at if is_same else None), refreshed.grant_expires_at


def _in_days(days: int | None, now: datetime) -> datetime | None:
    return now + timedelta(days=days) if days else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _instant(number: float) -> datetime | None:
    seconds = number / 1000 if number >= FIRST_MILLISECONDS else number
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _parsed(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _missing_scopes(asked: str, granted: str) -> tuple[str, ...]:
    """Return the scopes that were asked for and not granted, if the provider says what it granted."""
    if not granted:
        return ()
    names = {_scope_name(scope) for scope in _scopes(granted)}
    missing = (scope for scope in _scopes(asked) if _scope_name(scope) not in names)
    return tuple(scope for scope in missing if _scope_name(scope) not in _SILENT_SCOPES)


def _scopes(text: str) -> list[str]:
    return list(dict.fromkeys(filter(None, re.split(r"[\s,]+", storable(text)))))


def _scope_name(scope: str) -> str:
    """Return the name by which scopes are compared: Google and Microsoft answer with a URL before it."""
    return scope.lower().rstrip("/").rpartition("/")[2].removeprefix("userinfo.")
