"""Redact headers, URLs, bodies and text for recorded exchanges."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from instances.redaction.names import is_secret_name
from instances.redaction.values import (
    REDACTED,
    KnownSecrets,
    known_secrets,
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
# Between texts that are searched together: it begins and continues no escape or encoding.
_SEPARATOR = "\x1f"
_to_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """Headers and body of a request or a response."""

    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)


def redact_exchange(
    url: str, messages: Sequence[RecordedMessage], secrets: Collection[str] = ()
) -> tuple[str, list[RecordedMessage]]:
    """Redact a URL and the messages that were exchanged there, as the functions for each part do.

    Most exchanges contain known values only under secret names. So they are searched once, all parts together, instead
    of each part and each of its texts.
    """
    known = known_secrets(frozenset(secrets))
    bodies = [
        _Body(message.body, message.headers.get("Content-Type") or "", known)
        for message in messages
    ]
    visible = [url, *(body.visible for body in bodies)]
    for message in messages:
        for name, value in message.headers.items():
            visible += [name] if is_secret_name(name) else [name, value]
    is_clean = not known.is_in(_SEPARATOR.join(visible))
    left = known.short if is_clean else known
    return _redacted_url(url, left), [
        RecordedMessage(
            dict(_redacted_pairs(message.headers.items(), left)), body.redacted(is_clean=is_clean)
        )
        for message, body in zip(messages, bodies, strict=True)
    ]


def redact_headers(headers: Mapping[str, str], secrets: Collection[str] = ()) -> dict[str, str]:
    """Replace the values of secret headers, and known values in all others."""
    return dict(_redacted_pairs(headers.items(), known_secrets(frozenset(secrets))))


def redact_url(url: str, secrets: Collection[str] = ()) -> str:
    """Replace secret query parameters, the fragment and known values, and remove the user information."""
    return _redacted_url(url, known_secrets(frozenset(secrets)))


def redact_body(
    body: str,
    content_type: str = "",
    secrets: Collection[str] = (),
    *,
    max_characters: int = MAX_BODY_CHARACTERS,
) -> str:
    """Redact a body (JSON, form or text), and cut it."""
    known = known_secrets(frozenset(secrets))
    read = _Body(body, content_type, known)
    return read.redacted(is_clean=not known.is_in(read.visible), max_characters=max_characters)


def redact_text(text: str, secrets: Collection[str] = ()) -> str:
    """Redact credentials after their scheme, `name=value` with secret names, and known values in free text."""
    return _redacted_text(text, known_secrets(frozenset(secrets)))


def redact_json(value: Any, secrets: Collection[str]) -> Any:
    """Redact the texts and numbers of a JSON document."""
    return _redacted_json(value, known_secrets(frozenset(secrets)))


def _redacted_url(url: str, known: KnownSecrets) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return REDACTED
    host = parts.netloc.rpartition("@")[2]
    fragment = REDACTED if parts.fragment else ""
    query = _redacted_form(parts.query, known) if parts.query else ""
    return known.redacted(urlunsplit((parts.scheme, host, parts.path, query, fragment)))


class _Body:
    """A body that is to be recorded."""

    def __init__(self, text: str, content_type: str, known: KnownSecrets) -> None:
        self._text = text
        self._is_form = "x-www-form-urlencoded" in content_type
        self._known = known
        # What it shows besides values under secret names: if no known value is in it, short ones are all that is left.
        self.visible = text
        # Its JSON, redacted as far as that is known without searching it.
        self._redacted_json = ""
        try:
            self._document = json.loads(text)
            self.visible = _to_json(_visible_in(self._document))
            self._redacted_json = _to_json(_redacted_json(self._document, known.short))
        except (ValueError, RecursionError):
            # It is something else, or nested too deeply.
            self.visible = text

    def redacted(self, *, is_clean: bool, max_characters: int = MAX_BODY_CHARACTERS) -> str:
        """Return what is recorded. is_clean: no known value is in `visible`."""
        redacted = self._redacted_json if is_clean and self._redacted_json else self._searched()
        redacted = storable(redacted)
        if len(redacted) > max_characters:
            cut = len(redacted) - max_characters
            redacted = f"{redacted[:max_characters]}… [{cut} more characters]"
        return redacted

    def _searched(self) -> str:
        known = self._known
        if self._redacted_json:
            with suppress(RecursionError):
                return known.redacted(_to_json(_redacted_json(self._document, known)))
        shown = _redacted_form if self._is_form else _redacted_text
        return known.redacted(shown(self._text, known))


def _redacted_text(text: str, known: KnownSecrets) -> str:
    text = known.redacted(storable(text))
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


def _visible_in(value: Any, *, is_secret: bool = False) -> Any:
    """Return the document without the texts under secret names, which are redacted in any case."""
    if isinstance(value, str):
        return "" if is_secret else value
    if isinstance(value, dict):
        return {
            name: _visible_in(item, is_secret=is_secret or _names_secret(name, value))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_visible_in(item, is_secret=is_secret) for item in value]
    return value


def _redacted_json(value: Any, known: KnownSecrets, *, is_secret: bool = False) -> Any:
    """Redact the texts and numbers of a JSON document.

    is_secret: the value is under a secret name, at any depth.
    """
    if isinstance(value, str):
        is_hidden = value and (is_secret or value in known.values)
        return REDACTED if is_hidden else _redacted_text(value, known)
    if isinstance(value, Mapping):
        return {
            _redacted_text(str(name), known): _redacted_json(
                item, known, is_secret=is_secret or _names_secret(str(name), value)
            )
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redacted_json(item, known, is_secret=is_secret) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        is_hidden = str(value) in known.values or (is_secret and abs(value) > MAX_PLAIN_NUMBER)
        return REDACTED if is_hidden else value
    is_hidden = is_secret or str(value) in known.values
    return REDACTED if is_hidden else _redacted_text(str(value), known)


def _names_secret(name: str, fields: Mapping[Any, Any]) -> bool:
    # Next to a message, a code is an error code, which operators need to read.
    return is_secret_name(name) and not (name == "code" and "message" in fields)


def _redacted_form(form: str, known: KnownSecrets) -> str:
    pairs = _redacted_pairs(parse_qsl(form, keep_blank_values=True), known)
    return urlencode(pairs, safe="[]")


def _redacted_pairs(pairs: Iterable[tuple[str, str]], known: KnownSecrets) -> list[tuple[str, str]]:
    pairs = [(name, REDACTED if value and is_secret_name(name) else value) for name, value in pairs]
    if not known.is_in(_SEPARATOR.join(chain.from_iterable(pairs))):
        known = known.short
    return [
        (
            _redacted_text(name, known),
            REDACTED if value and value in known.values else _redacted_text(value, known),
        )
        for name, value in pairs
    ]
