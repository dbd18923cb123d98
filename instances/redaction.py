"""What a recorded exchange, a log line or an error may show: pure functions, by name and by value.

By name: fields and headers known to carry secrets. By value: the secrets that the caller knows it sent.
Both are applied, so a provider that echoes a password under a name of its own does not leak it.
"""

import html
import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

import structlog

REDACTED = "[redacted]"
MAX_BODY_CHARACTERS = 8_000
# A number this small under a secret name is a status or an error code.
MAX_PLAIN_NUMBER = 9_999
# In running text a shorter value would blacken ordinary words; a field that is nothing but it is redacted.
MIN_SECRET_LENGTH = 4

# Whole words of a dotted, dashed, underscored or camelCase name.
_SECRET_WORDS = {
    "assertion", "auth", "authorization", "code", "cookie", "credential", "key", "passphrase", "pin", "pwd",
    "session", "sessionid", "signature", "ticket", "verifier",
}  # fmt: skip
# Endings that are also secret inside a word written without a break: accesstoken, apikey.
_SECRET_ENDINGS = ("apikey", "passwd", "password", "secret", "token")
# Names with such a word that say nothing secret, and that an operator needs to read.
_PLAIN_NAMES = {
    "authorization_endpoint", "code_challenge_method", "element_key", "error_code", "error_codes", "key", "key_id", "status_code",
    "token_type",
}  # fmt: skip
# What is written the same everywhere (RFC 3986 2.3).
_UNCHANGED = re.compile(r"[A-Za-z0-9._~-]+")
# Without any of these, a text neither introduces nor assigns anything; most are but one word.
_BEFORE_SECRET = re.compile(r"[\s/=:]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_CREDENTIALS = re.compile(r"\b(Bearer|Basic|User|Organization|Element)(:?\s+)([\w+/=.~-]{16,})")
# An authorization link (models.AuthorizationLink): its path is its secret.
_LINK_PATH = re.compile(r"(/authorize/)[\w-]{20,}")
# Possessive and anchored to the name's first character: linear in the text, which strangers write.
_ASSIGNED_NAME = re.compile(r"(?<![\w.-])([\w.-]++)\\?[\"']?\s*+[=:]\s*+\\?[\"']?")
_ASSIGNED_VALUE = re.compile(
    r"(?<=\")(?:\\.|[^\"\\])*+|(?<=')[^']*+|(?:(?:Bearer|Basic|OAuth)\s++)?+[^\s\"'\\&,;<>{}]++"
)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or field of this name carries a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if words == ["state"]:
        return True
    singular = [word.removesuffix("s") for word in words]
    if "_".join(words) in _PLAIN_NAMES:
        return False
    return any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in singular)


def redact_headers(headers: Mapping[str, str], secrets: Collection[str] = ()) -> dict[str, str]:
    """Headers with secret ones and known values replaced."""
    return dict(_redact_pairs(headers.items(), secrets))


def redact_url(url: str, secrets: Collection[str] = ()) -> str:
    """A URL with its secret query parameters, user information, fragment and known values replaced."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return REDACTED
    host = parts.netloc.rpartition("@")[2]
    fragment = REDACTED if parts.fragment else ""
    query = _redact_form(parts.query, secrets)
    shown = urlunsplit((parts.scheme, host, parts.path, query, fragment))
    return redact_values(shown, secrets)


def redact_body(body: str, content_type: str = "", secrets: Collection[str] = ()) -> str:
    """A request or answer body (JSON, form or text), redacted and cut to MAX_BODY_CHARACTERS."""
    try:
        redacted = json.dumps(_redact_json(json.loads(body), secrets), ensure_ascii=False)
    except (ValueError, RecursionError):
        is_form = "x-www-form-urlencoded" in content_type
        redacted = _redact_form(body, secrets) if is_form else redact_text(body, secrets)
    redacted = redact_values(redacted, secrets).replace("\x00", "")
    if len(redacted) > MAX_BODY_CHARACTERS:
        cut = len(redacted) - MAX_BODY_CHARACTERS
        redacted = f"{redacted[:MAX_BODY_CHARACTERS]}… [{cut} more characters]"
    return redacted


def redact_text(text: str, secrets: Collection[str] = ()) -> str:
    """Free text: credentials after their scheme, `name=value` of secret names, and known values."""
    text = redact_values(text, secrets)
    if not _BEFORE_SECRET.search(text):
        return text
    text = _CREDENTIALS.sub(rf"\1\2{REDACTED}", text)
    text = _LINK_PATH.sub(rf"\1{REDACTED}", text)
    shown, end = "", 0
    for name in _ASSIGNED_NAME.finditer(text):
        if name.start() < end or not is_secret_name(name[1]):
            continue
        value = _ASSIGNED_VALUE.match(text, name.end())
        if value and value[0]:
            shown += text[end : name.end()] + REDACTED
            end = value.end()
    return shown + text[end:]


def redact_values(text: str, secrets: Collection[str]) -> str:
    """Known values alone: for words that are to stay as they were said."""
    for form in _known_forms(frozenset(secrets)):
        text = text.replace(form, REDACTED)
    return text


def log_formatter() -> logging.Formatter:
    """JSON lines for LOGGING: every event of structlog and of the standard library, redacted."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(allow=()),
    ]
    # Left alone, structlog prints to standard output, past the redactor.
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
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
    redacted: dict[str, Any] = _redact_json(dict(event), ())
    return redacted


def _redact_json(value: Any, secrets: Collection[str], *, is_secret: bool = False) -> Any:
    """is_secret: the value stands, at whatever depth, under a secret name."""
    if isinstance(value, str):
        is_hidden = value and (is_secret or value in secrets)
        return REDACTED if is_hidden else redact_text(value, secrets)
    if isinstance(value, Mapping):
        return {
            redact_text(str(name), secrets): _redact_json(
                item, secrets, is_secret=is_secret or _names_secret(str(name), value)
            )
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redact_json(item, secrets, is_secret=is_secret) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        is_hidden = str(value) in secrets or (is_secret and abs(value) > MAX_PLAIN_NUMBER)
        return REDACTED if is_hidden else value
    return REDACTED if is_secret or str(value) in secrets else redact_text(str(value), secrets)


def _names_secret(name: str, fields: Mapping[Any, Any]) -> bool:
    # Beside a message, a code is the error's, which the operator needs to read.
    return is_secret_name(name) and not (name == "code" and "message" in fields)


def _redact_form(form: str, secrets: Collection[str]) -> str:
    pairs = _redact_pairs(parse_qsl(form, keep_blank_values=True), secrets)
    return urlencode(pairs, safe="[]")


def _redact_pairs(
    pairs: Iterable[tuple[str, str]], secrets: Collection[str]
) -> list[tuple[str, str]]:
    return [
        (
            redact_text(name, secrets),
            REDACTED if value and (is_secret_name(name) or value in secrets)
            else redact_text(value, secrets),
        )
        for name, value in pairs
    ]  # fmt: skip


# The record of one exchange asks for them a hundred times.
@lru_cache(maxsize=256)
def _known_forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """All that stands for one of the secrets, the longest first: one that contains another is replaced whole."""
    forms = {
        form for one in secrets if len(one) >= MIN_SECRET_LENGTH for form in _written_forms(one)
    }
    return tuple(sorted(forms, key=len, reverse=True))


@lru_cache(maxsize=256)
def _written_forms(secret: str) -> set[str]:
    """The secret as it stands in text, URLs, forms, JSON and HTML."""
    if _UNCHANGED.fullmatch(secret):
        return {secret}
    percent = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in percent}
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    in_html = html.escape(secret)
    return percent | lower | in_json | {secret, in_html, in_html.replace("&#x27;", "&#39;")}
