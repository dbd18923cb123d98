"""Redact headers, URLs, bodies and text for recorded exchanges."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from instances.redaction.names import is_secret_name
from instances.redaction.values import (
    REDACTED,
    KnownSecrets,
    known_secrets,
    redact_values,
    storable,
)

MAX_BODY_CHARACTERS = 8_000
# A number up to this under a secret name is a status or an error code.
MAX_PLAIN_NUMBER = 9_999

# Text without any of these contains no assignment and no credentials after a scheme. Most texts are a single word.
_BEFORE_SECRET = re.compile(r"[\s/=:]")
_CREDENTIALS = re.compile(r"\b(Bearer|Basic|User|Organization|Element)(:?\s+)([\w+/=.~-]{16,})")
# The path of an authorization link (models.AuthorizationLink) is its secret.
_LINK_PATH = re.compile(r"(/authorize/)[\w-]{20,}")
# Possessive and anchored to the first character of the name, so that strangers' text takes linear time.
_ASSIGNED_NAME = re.compile(r"(?<![\w.-])([\w.-]++)\\?[\"']?\s*+[=:]\s*+\\?[\"']?")
_ASSIGNED_VALUE = re.compile(
    r"(?<=\")(?:\\.|[^\"\\])*+|(?<=')[^']*+|(?:(?:Bearer|Basic|OAuth)\s++)?+[^\s\"'\\&,;<>{}]++"
)


def redact_headers(headers: Mapping[str, str], secrets: Collection[str] = ()) -> dict[str, str]:
    """Replace the values of secret headers, and known values in all others."""
    return dict(_redact_pairs(headers.items(), secrets))


def redact_url(url: str, secrets: Collection[str] = ()) -> str:
    """Replace secret query parameters, the fragment and known values, and remove the user information."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return REDACTED
    host = parts.netloc.rpartition("@")[2]
    fragment = REDACTED if parts.fragment else ""
    query = _redact_form(parts.query, secrets)
    shown = urlunsplit((parts.scheme, host, parts.path, query, fragment))
    return redact_values(shown, secrets)


def redact_body(
    body: str,
    content_type: str = "",
    secrets: Collection[str] = (),
    *,
    max_characters: int = MAX_BODY_CHARACTERS,
) -> str:
    """Redact a body (JSON, form or text), and cut it."""
    try:
        redacted = _redact_document(json.loads(body), secrets)
    except (ValueError, RecursionError):
        is_form = "x-www-form-urlencoded" in content_type
        redacted = _redact_form(body, secrets) if is_form else redact_text(body, secrets)
        redacted = redact_values(redacted, secrets)
    redacted = storable(redacted)
    if len(redacted) > max_characters:
        cut = len(redacted) - max_characters
        redacted = f"{redacted[:max_characters]}… [{cut} more characters]"
    return redacted


def redact_text(text: str, secrets: Collection[str] = ()) -> str:
    """Redact credentials after their scheme, `name=value` with secret names, and known values in free text."""
    text = redact_values(storable(text), secrets)
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


def _redact_document(document: Any, secrets: Collection[str]) -> str:
    """Redact a JSON document, and return it as text.

    Most documents contain no known value, so the whole document is searched once instead of each of its texts.
    """
    known = known_secrets(frozenset(secrets))
    is_clean = _is_clean(document, known) or _is_clean(_hidden_by_name(document), known)
    shown = redact_json(document, known.short if is_clean else secrets)
    redacted = json.dumps(shown, ensure_ascii=False)
    return redacted if is_clean else redact_values(redacted, secrets)


def _is_clean(document: Any, known: KnownSecrets) -> bool:
    return not known.is_in(json.dumps(document, ensure_ascii=False))


def _hidden_by_name(value: Any, *, is_secret: bool = False) -> Any:
    """Return the document without the texts under secret names, which are redacted in any case."""
    if isinstance(value, str):
        return "" if is_secret else value
    if isinstance(value, dict):
        return {
            name: _hidden_by_name(item, is_secret=is_secret or _names_secret(name, value))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_hidden_by_name(item, is_secret=is_secret) for item in value]
    return value


def redact_json(value: Any, secrets: Collection[str], *, is_secret: bool = False) -> Any:
    """Redact the texts and numbers of a JSON document.

    is_secret: the value is under a secret name, at any depth.
    """
    if isinstance(value, str):
        is_hidden = value and (is_secret or value in secrets)
        return REDACTED if is_hidden else redact_text(value, secrets)
    if isinstance(value, Mapping):
        return {
            redact_text(str(name), secrets): redact_json(
                item, secrets, is_secret=is_secret or _names_secret(str(name), value)
            )
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_json(item, secrets, is_secret=is_secret) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        is_hidden = str(value) in secrets or (is_secret and abs(value) > MAX_PLAIN_NUMBER)
        return REDACTED if is_hidden else value
    return REDACTED if is_secret or str(value) in secrets else redact_text(str(value), secrets)


def _names_secret(name: str, fields: Mapping[Any, Any]) -> bool:
    # Next to a message, a code is an error code, which operators need to read.
    return is_secret_name(name) and not (name == "code" and "message" in fields)


def _redact_form(form: str, secrets: Collection[str]) -> str:
    pairs = _redact_pairs(parse_qsl(form, keep_blank_values=True), secrets)
    return urlencode(pairs, safe="[]")


def _redact_pairs(
    pairs: Iterable[tuple[str, str]], secrets: Collection[str]
) -> list[tuple[str, str]]:
    pairs = [(name, REDACTED if value and is_secret_name(name) else value) for name, value in pairs]
    known = known_secrets(frozenset(secrets))
    if not known.is_in("\n".join(chain.from_iterable(pairs))):
        secrets = known.short
    return [
        (
            redact_text(name, secrets),
            REDACTED if value and value in secrets else redact_text(value, secrets),
        )
        for name, value in pairs
    ]
