"""What a recorded exchange, a log line or an error may show: pure functions, by name and by value.

By name: fields and headers known to carry secrets. By value: the secrets that the caller knows it sent.
Both are applied, so a provider that echoes a password under a name of its own does not leak it.
"""

import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

import structlog

REDACTED = "[redacted]"
MAX_BODY_CHARACTERS = 8_000
# Shorter values would blacken ordinary words; nothing that short is a secret worth the name.
MIN_SECRET_LENGTH = 4

# Whole words of a dotted, dashed, underscored or camelCase name.
_SECRET_WORDS = {
    "apikey", "assertion", "authorization", "code", "cookie", "credential", "credentials", "key",
    "passphrase", "passwd", "password", "pin", "pwd", "secret", "sessionid", "signature", "state",
    "ticket", "token", "verifier",
}  # fmt: skip
# Names with such a word that say nothing secret, and that an operator needs to read.
_PLAIN_NAMES = {
    "authorization_endpoint", "code_challenge_method", "error_codes", "grant_type", "key",
    "response_type", "status_code", "token_type", "token_endpoint", "statecode", "statuscode",
}  # fmt: skip
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_BEARER = re.compile(r"\b(Bearer|Basic|User|Organization|Element)(:?\s+)([A-Za-z0-9+/=_.~-]{8,})")
_ASSIGNMENT = re.compile(
    r"(?i)([\w.-]*(?:password|passwd|secret|token|api[._-]?key|code|verifier|state)[\w.-]*)"
    r"(\"?\s*[=:]\s*\"?)([^\s\"'&,;<>{}]+)"
)


def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or field of this name carries a secret."""
    if name.lower() in _PLAIN_NAMES:
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    return not _SECRET_WORDS.isdisjoint(words) or name.lower() in _SECRET_WORDS


def redact_headers(headers: Mapping[str, str], secrets: Collection[str] = ()) -> dict[str, str]:
    """Headers with secret ones and known values replaced."""
    return {
        name: REDACTED if is_secret_name(name) else redact_text(str(value), secrets)
        for name, value in headers.items()
    }


def redact_url(url: str, secrets: Collection[str] = ()) -> str:
    """A URL with its secret query parameters, user information and known values replaced."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = urlencode(_redact_pairs(parse_qsl(parts.query, keep_blank_values=True)), safe="[]")
    fragment = REDACTED if parts.fragment else ""
    shown = urlunsplit((parts.scheme, host, parts.path, query, fragment))
    return _without_values(shown, secrets)


def redact_body(body: str, content_type: str = "", secrets: Collection[str] = ()) -> str:
    """A request or answer body (JSON, form or text), redacted and cut to MAX_BODY_CHARACTERS."""
    try:
        redacted = json.dumps(_redact_json(json.loads(body)), ensure_ascii=False)
    except ValueError:
        if "x-www-form-urlencoded" in content_type:
            redacted = urlencode(_redact_pairs(parse_qsl(body, keep_blank_values=True)), safe="[]")
        else:
            redacted = redact_text(body)
    redacted = _without_values(redacted, secrets)
    if len(redacted) > MAX_BODY_CHARACTERS:
        cut = len(redacted) - MAX_BODY_CHARACTERS
        redacted = f"{redacted[:MAX_BODY_CHARACTERS]}… [{cut} more characters]"
    return redacted


def redact_text(text: str, secrets: Collection[str] = ()) -> str:
    """Free text: credentials after their scheme, `name=value` of secret names, and known values."""
    text = _BEARER.sub(rf"\1\2{REDACTED}", text)
    text = _ASSIGNMENT.sub(
        lambda match: match[0] if not is_secret_name(match[1]) else match[1] + match[2] + REDACTED,
        text,
    )
    return _without_values(text, secrets)


def log_formatter() -> logging.Formatter:
    """JSON lines for LOGGING: every event of structlog and of the standard library, redacted."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(allow=()),
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact_event,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )


def _redact_event(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    redacted: dict[str, Any] = _redact_json(dict(event))
    return redacted


def _redact_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            str(key): REDACTED if item and is_secret_name(str(key)) and not isinstance(item, (dict, list))
            else _redact_json(item)
            for key, item in value.items()
        }  # fmt: skip
    if isinstance(value, list | tuple):
        return [_redact_json(item) for item in value]
    return redact_text(value) if isinstance(value, str) else value


def _redact_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (name, REDACTED if value and is_secret_name(name) else redact_text(value))
        for name, value in pairs
    ]


def _without_values(text: str, secrets: Collection[str]) -> str:
    # The longest first: a secret that contains another is replaced whole.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        if len(secret) < MIN_SECRET_LENGTH:
            continue
        escaped = json.dumps(secret)[1:-1]
        for form in {secret, quote(secret, safe=""), quote_plus(secret), escaped}:
            text = text.replace(form, REDACTED)
    return text
