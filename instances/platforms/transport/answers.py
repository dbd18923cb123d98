"""What an answer says, as far as it is the same for every platform and provider."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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
# Where providers put their own words, the most telling first.
_MESSAGE_FIELDS = ("error_description", "providerMessage", "message", "error", "detail", "title")


def document_of(response: Answer, subject: Subject) -> dict[str, Any]:
    """The JSON object that an answer is. Raises UnusableAnswerError for anything else, such as a page."""
    document = json_of(response)
    if not isinstance(document, dict):
        raise unusable(response, subject)
    return document


def json_of(response: Answer) -> Any:
    """The answer as JSON; None where it is none."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None


def error_of[E: PlatformError](
    kind: type[E], why: str, response: Answer, subject: Subject, **more: Any
) -> E:
    """The error that an answer means. why continues a sentence that begins with the instance and the step."""
    return kind(
        f"{subject.label}: {subject.operation} {why}",
        provider_message=message_of(response, subject),
        status=response.status_code,
        interaction=interaction_of(response),
        **more,
    )


def raise_for_fault(response: Answer, subject: Subject) -> None:
    """Raises RateLimitedError for 429 and ProviderFaultError for 5xx: what no correction of ours can help."""
    if response.status_code == 429:
        seconds = _retry_after_seconds(response.headers.get("Retry-After", ""))
        when = "later" if seconds is None else f"in {seconds:.0f} seconds"
        why = f"was put off: too many requests (429). Try again {when}."
        raise error_of(RateLimitedError, why, response, subject, retry_after_seconds=seconds)
    if response.status_code >= 500:
        why = f"failed at the other side ({response.status_code}). Try again later."
        raise error_of(ProviderFaultError, why, response, subject)


def unusable(response: Answer, subject: Subject, what: str = "") -> UnusableAnswerError:
    """The error for an answer that is not what it should be. what: it was, where that is known."""
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
    is_page = content_type == "text/html"
    what = what or ("an HTML page" if is_page else "an answer that cannot be understood")
    why = f"got {what} ({response.status_code}). Check the address, or try again later."
    return error_of(UnusableAnswerError, why, response, subject)


def message_of(response: Answer, subject: Subject) -> str:
    """The answer's own words, redacted and cut; empty where it has none."""
    document = json_of(response)
    while isinstance(document, dict):
        fields = [document[name] for name in _MESSAGE_FIELDS if document.get(name)]
        document = fields[0] if fields else None
    text = document if isinstance(document, str) else _plain_text_of(response)
    return redact_text(text, subject.secrets)[:MAX_MESSAGE_CHARACTERS]


def _plain_text_of(response: Answer) -> str:
    """A body that is words and no document, as OAuth 1.0a's refusals are; empty for anything else."""
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
    is_text = content_type in {"text/plain", "application/x-www-form-urlencoded"}
    return response.content.decode(errors="replace").strip() if is_text else ""


def _retry_after_seconds(value: str) -> float | None:
    """Retry-After (RFC 9110 10.2.3): seconds, or a date; at most a day."""
    if value.strip().isdecimal():
        return min(float(value), MAX_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(value)
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (aware - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
