"""Read responses, as far as all platforms and providers are alike."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

import requests

from instances.errors import (
    PlatformError,
    ProviderFaultError,
    RateLimitedError,
    UnusableAnswerError,
)
from instances.platforms.transport.recording import Subject, interaction_of
from instances.redaction import redact_text

Answer = requests.Response
MAX_MESSAGE_CHARACTERS = 500
MAX_RETRY_AFTER_SECONDS = 86_400.0
# Where providers put their own message, the most specific first.
_MESSAGE_FIELDS = ("error_description", "providerMessage", "message", "error", "detail", "title")


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
_HTML_PAGE = (
    "%(provider)s sent an HTML page instead of data (%(operation)s, HTTP %(status)d). Check the address, or try "
    "again later."
)
_UNREADABLE = (
    "%(provider)s sent a response that could not be understood (%(operation)s, HTTP %(status)d). Check the address, "
    "or try again later."
)


def document_of(response: Answer, subject: Subject) -> dict[str, Any]:
    """Return the JSON object of a response.

    Raises UnusableAnswerError for anything else, such as a page.
    """
    document = json_of(response)
    if not isinstance(document, dict):
        raise unusable(response, subject)
    return document


def json_of(response: Answer) -> Any:
    """Return the response's JSON; None if it is not JSON."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None


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


def raise_for_fault(response: Answer, subject: Subject) -> None:
    """Raise RateLimitedError for 429 and ProviderFaultError for 5xx."""
    if response.status_code == 429:
        seconds = _retry_after_seconds(response.headers.get("Retry-After", ""))
        raise error_of(
            RateLimitedError,
            _RATE_LIMITED if seconds is None else _RATE_LIMITED_FOR,
            response,
            subject,
            facts={"seconds": seconds},
            retry_after_seconds=seconds,
        )
    if response.status_code >= 500:
        raise error_of(ProviderFaultError, _SERVER_ERROR, response, subject)


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
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
    general = _HTML_PAGE if content_type == "text/html" else _UNREADABLE
    return error_of(UnusableAnswerError, sentence or general, response, subject, facts=facts)


def message_of(response: Answer, subject: Subject) -> str:
    """Return the response's own message, redacted and cut; empty if it has none."""
    document = json_of(response)
    while isinstance(document, dict):
        fields = [document[name] for name in _MESSAGE_FIELDS if document.get(name)]
        document = fields[0] if fields else None
    text = document if isinstance(document, str) else _plain_text_of(response)
    return redact_text(text, subject.secrets)[:MAX_MESSAGE_CHARACTERS]


def _plain_text_of(response: Answer) -> str:
    """Return a plain-text body, such as an OAuth 1.0a refusal.

    Empty for anything else.
    """
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
    is_text = content_type in {"text/plain", "application/x-www-form-urlencoded"}
    return response.content.decode(errors="replace").strip() if is_text else ""


def _retry_after_seconds(value: str) -> float | None:
    """Parse Retry-After (RFC 9110 10.2.3), which is seconds or a date.

    At most a day, None if it is invalid.
    """
    if value.strip().isdecimal():
        return min(float(value), MAX_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(value)
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (aware - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
