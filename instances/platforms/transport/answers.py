"""Read responses, as far as all platforms and providers are alike."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

import requests

from instances.catalogue.error_codes import ErrorCodes, ErrorMeaning, known_codes
from instances.errors import (
    PlatformError,
    ProviderFaultError,
    RateLimitedError,
    SignInPageError,
    UnusableAnswerError,
)
from instances.platforms.transport.charsets import decoded, media_type
from instances.platforms.transport.recording import interaction_of
from instances.platforms.transport.subjects import Subject
from instances.redaction import redact_text

Answer = requests.Response
MAX_MESSAGE_CHARACTERS = 500
MAX_RETRY_AFTER_SECONDS = 86_400.0
# A number this large is an instant in seconds, or milliseconds, since 1970.
FIRST_INSTANT = 1e9
FIRST_MILLISECONDS = 1e12
# Where providers put their own message, the most specific first.
_MESSAGE_FIELDS = (
    "error_description", "providerMessage", "message", "errmsg", "error", "errors", "detail", "title",
)  # fmt: skip
# Where they put their error codes. Nested objects and lists are searched too, this deep.
_CODE_FIELDS = {
    "code", "errcode", "error", "error_code", "error_codes", "error_subcode", "errorcode", "errors", "errortype",
    "reason", "status", "suberror", "type",
}  # fmt: skip
_MAX_DEPTH = 4
_MAX_CODES = 100
_MAX_CODE_CHARACTERS = 100
_AADSTS = re.compile(r"\bAADSTS\d{1,9}\b", re.IGNORECASE)
# Tells a rate limit from missing permissions, which have the same status.
_TOO_MANY = re.compile(r"rate.?limit|too many requests|throttl", re.IGNORECASE)
_PAGE = re.compile(r"\s*(<!doctype html|<html)", re.IGNORECASE)
_PART_OF_PAGE = re.compile(r"<(html|head|title|body|form)\b", re.IGNORECASE)


_RATE_LIMITED = (
    "%(provider)s rate-limited the request (%(operation)s, HTTP %(status)d). Try again later."
)
_RATE_LIMITED_FOR = (
    "%(provider)s rate-limited the request (%(operation)s, HTTP %(status)d). "
    "Try again in %(seconds).0f seconds."
)
_SERVER_ERROR = (
    "%(provider)s failed with a server error (%(operation)s, HTTP %(status)d). Try again later."
)
_UNAVAILABLE = (
    "%(provider)s is temporarily unavailable (%(operation)s, HTTP %(status)d). Try again later."
)
_HTML_PAGE = (
    "%(provider)s sent an HTML page instead of data (%(operation)s, HTTP %(status)d). Check the address, or try "
    "again later."
)
_SIGN_IN_PAGE = (
    "%(provider)s sent a web page instead of data (%(operation)s, HTTP %(status)d), for example a sign-in page. Check "
    "the credentials and the address."
)
_UNREADABLE = (
    "%(provider)s sent a response that could not be understood (%(operation)s, HTTP %(status)d). Check the address, "
    "or try again later."
)


def json_of(response: Answer) -> Any:
    """Return the response's JSON, in any character set; None if it is not JSON."""
    for body in (response.content, text_of(response)):
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            continue
    return None


def text_of(response: Answer) -> str:
    """Return the body as text."""
    return decoded(response.content, response.headers.get("Content-Type"))


def is_page(response: Answer) -> bool:
    """Whether the body is a web page for people.

    Data may have the type text/html too, because it is the default of some servers.
    """
    text = text_of(response)
    is_html = media_type(response.headers.get("Content-Type")) == "text/html"
    has_part = is_html and _PART_OF_PAGE.search(text) and json_of(response) is None
    return bool(_PAGE.match(text) or has_part)


def codes_of(document: Any) -> frozenset[str]:
    """Return the error codes in a response's JSON, as error_codes.py writes them."""
    codes = set()
    for _, code in zip(range(_MAX_CODES), _codes_in(document, ""), strict=False):
        codes.add(code)
    return frozenset(codes)


def _codes_in(value: Any, place: str, depth: int = 0) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _codes_in(item, place, depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name.lower() in _CODE_FIELDS:
                yield from _codes_in(item, f"{place}.{name}".lower().lstrip("."), depth + 1)
            elif isinstance(item, str):
                yield from (found.lower() for found in _AADSTS.findall(item))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield f"aadsts{value}" if place.endswith("error_codes") else f"{place}={value}"
    elif isinstance(value, str) and len(value) <= _MAX_CODE_CHARACTERS:
        yield value.lower()


def error_of[E: PlatformError](
    kind: type[E],
    sentence: str,
    response: Answer,
    subject: Subject,
    *,
    facts: Mapping[str, object] = MappingProxyType({}),
    **attributes: Any,
) -> E:
    """Return the error that a response stands for.

    sentence: a complete one, with the placeholders %(provider)s, %(operation)s, %(status)d and those of facts. The
    label is put before it. attributes: of the error's class.
    """
    values = {
        "provider": subject.provider,
        "operation": subject.operation,
        "status": response.status_code,
        **facts,
    }
    return kind(
        f"{subject.label}: {sentence % values}",
        provider_message=message_of(response, subject),
        status=response.status_code,
        interaction=interaction_of(response),
        **attributes,
    )


def raise_for_fault(
    response: Answer,
    subject: Subject,
    own_codes: ErrorCodes = ErrorCodes(),  # noqa: B008  immutable
    *,
    is_refused: bool = False,
) -> None:
    """Raise RateLimitedError or ProviderFaultError if the same request may succeed later.

    That is so for 408, 425, 429 and 5xx, and for a refusal that says so. own_codes: the element's. is_refused: the
    response is a refusal whatever its status.
    """
    status = response.status_code
    is_refused = is_refused or 400 <= status < 500
    meanings = known_codes(codes_of(json_of(response)), own_codes) if is_refused else {}
    if status == 429 or ErrorMeaning.RATE_LIMITED in meanings or _is_rate_limit(response, subject):
        seconds = retry_after_of(response.headers)
        sentence = _RATE_LIMITED if seconds is None else _RATE_LIMITED_FOR
        raise _later(RateLimitedError, sentence, response, subject)
    if status in {408, 425} or ErrorMeaning.TRANSIENT in meanings:
        raise _later(ProviderFaultError, _UNAVAILABLE, response, subject)
    if status >= 500:
        raise _later(ProviderFaultError, _SERVER_ERROR, response, subject)


def _is_rate_limit(response: Answer, subject: Subject) -> bool:
    """Whether a 400 or 403 is a rate limit, as GitHub, Google and Zoho send it."""
    if response.status_code not in {400, 403}:
        return False
    remaining = response.headers.get("X-RateLimit-Remaining", "").strip()
    is_told = remaining == "0" or retry_after_of(response.headers) is not None
    is_limit = response.status_code == 403 and is_told
    return is_limit or bool(_TOO_MANY.search(message_of(response, subject)))


def _later[E: PlatformError](kind: type[E], sentence: str, response: Answer, subject: Subject) -> E:
    # Of the server errors, only 503 gives Retry-After a meaning (RFC 9110 10.2.3).
    has_meaning = response.status_code < 500 or response.status_code == 503
    seconds = retry_after_of(response.headers) if has_meaning else None
    facts = {"seconds": seconds}
    return error_of(kind, sentence, response, subject, facts=facts, retry_after_seconds=seconds)


def sign_in_page(response: Answer, subject: Subject) -> SignInPageError:
    """Return the error for a web page in place of data."""
    return error_of(SignInPageError, _SIGN_IN_PAGE, response, subject)


def unusable(
    response: Answer,
    subject: Subject,
    sentence: str = "",
    *,
    facts: Mapping[str, object] = MappingProxyType({}),
) -> UnusableAnswerError:
    """Return the error for an unexpected response.

    sentence and facts: as for error_of(), if more is known.
    """
    is_html = media_type(response.headers.get("Content-Type")) == "text/html"
    general = _HTML_PAGE if is_html else _UNREADABLE
    return error_of(UnusableAnswerError, sentence or general, response, subject, facts=facts)


def message_of(response: Answer, subject: Subject) -> str:
    """Return the response's own message, redacted and cut; empty if it has none."""
    document = json_of(response)
    while isinstance(document, dict | list):
        items = (
            [document.get(name) for name in _MESSAGE_FIELDS]
            if isinstance(document, dict)
            else document
        )
        document = next((item for item in items if item), None)
    text = document if isinstance(document, str) else _plain_text_of(response)
    return redact_text(text, subject.secrets)[:MAX_MESSAGE_CHARACTERS]


def _plain_text_of(response: Answer) -> str:
    """Return a plain-text body, such as an OAuth 1.0a refusal.

    Empty for anything else.
    """
    kind = media_type(response.headers.get("Content-Type"))
    is_text = kind in {"text/plain", "application/x-www-form-urlencoded"}
    return text_of(response).strip() if is_text else ""


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After (RFC 9110 10.2.3): seconds or a date; some providers send an instant in seconds since 1970.

    From 0 to a day; None if it is missing or invalid.
    """
    value = headers.get("Retry-After", "").strip()
    try:
        number = float(value) if value[:1].isdecimal() and "_" not in value else None
        if number is None:
            seconds = (_aware(parsedate_to_datetime(value)) - datetime.now(UTC)).total_seconds()
        elif number >= FIRST_INSTANT:
            divisor = 1000 if number >= FIRST_MILLISECONDS else 1
            seconds = number / divisor - datetime.now(UTC).timestamp()
        else:
            seconds = number
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
