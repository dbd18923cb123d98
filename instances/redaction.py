"""What is secret, and how records, logs and errors hide it: pure functions.

By name: fields, headers and configuration keys that hold secrets; this is the only list of them. By value: the secrets
that the caller knows, in any case, percent-encoded, and in base64 or hex. Both are applied, so a provider that echoes
a password under another name does not leak it.
"""

import binascii
import html
import json
import logging
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode, urlsplit, urlunsplit

import structlog

REDACTED = "[redacted]"
MAX_BODY_CHARACTERS = 8_000
# A number this small under a secret name is a status or an error code.
MAX_PLAIN_NUMBER = 9_999
# Shorter values would redact ordinary words of a text; they are only redacted where they are a whole value.
MIN_SECRET_LENGTH = 4

# Whole words of a dotted, dashed, underscored or camelCase name, in the singular.
_SECRET_WORDS = {
    "assertion", "auth", "authorization", "bearer", "code", "cookie", "cred", "credential", "csrf", "dsn", "hmac",
    "jwe", "jws", "jwt", "key", "keystore", "mfa", "otp", "pass", "passphrase", "pem", "pfx", "pin", "psk", "pw",
    "pwd", "sas", "seed", "session", "sessionid", "sig", "signature", "ticket", "totp", "verifier", "xsrf",
}  # fmt: skip
# Endings that are also secret inside a word written without a break: accesstoken, apikey. Not "key": monkey.
_SECRET_ENDINGS = (
    "accesscode", "accesskey", "accountkey", "apikey", "authcode", "authkey", "clientkey", "consumerkey", "credential",
    "dbpass", "encryptionkey", "licensekey", "masterkey", "passcode", "passphrase", "passwd", "password", "pincode",
    "privatekey", "pwd", "secret", "secretkey", "securitycode", "securitykey", "sessionkey", "sharedkey", "signingkey",
    "subscriptionkey", "token", "userpass", "verifier",
)  # fmt: skip
# Secret as a phrase, although no word of it is secret alone: SAMLResponse, passwordhash.
_SECRET_PHRASES = re.compile(
    "apikey|connectionstring|passcode|passphrase|passwd|password|pkcs12|relaystate|samlart|samlresponse|secretid|"
    "securityanswer|sessid|sessionid|tokenid"
)
# A last word that makes a name describe a secret instead of holding one: session.timeout, token_type.
_ABOUT_A_SECRET = {
    "algorithm", "at", "count", "enabled", "expire", "expiration", "expiry", "format", "in", "interval", "length",
    "lifetime", "method", "required", "timeout", "ttl", "type", "version",
}  # fmt: skip
# Words of OAuth endpoints, and last words that make such a name an address: auth.url.
_ENDPOINT_WORDS = {"auth", "authorization", "session", "token"}
_PLACES = {"domain", "endpoint", "host", "port", "server", "uri", "url"}
# Names with a secret word that hold nothing secret, and that operators need to read.
_PLAIN_NAMES = {"error_code", "error_codes", "status_code"}
# The same in records: an element's key. As a configuration key, `key` is the account's secret.
_PLAIN_IN_RECORDS = {"element_key", "key", "key_id"}
# A possible URL in a document, and a part of a URL.
_STRETCH = re.compile(r"[^\s\"'<>]++")
_PART_OF_URL = re.compile(r"[^/?&=#;,:]++")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
# A value may be encoded twice, and once more in transit.
_MAX_ENCODINGS = 3
_MAX_RUN_LENGTH = 20
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64 = bytes(
    byte if byte in _BASE64_ALPHABET else {b"-"[0]: b"+"[0], b"_"[0]: b"/"[0]}.get(byte, b"A"[0])
    for byte in range(256)
)
_HEX = bytes(byte if byte in b"0123456789abcdefABCDEF" else b"0"[0] for byte in range(256))
# A text without any of these assigns nothing; most values are a single word.
_BEFORE_SECRET = re.compile(r"[\s/=:]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_CREDENTIALS = re.compile(r"\b(Bearer|Basic|User|Organization|Element)(:?\s+)([\w+/=.~-]{16,})")
# The path of an authorization link (models.AuthorizationLink) is its secret.
_LINK_PATH = re.compile(r"(/authorize/)[\w-]{20,}")
# Possessive and anchored to the name's first character: linear time on untrusted text.
_ASSIGNED_NAME = re.compile(r"(?<![\w.-])([\w.-]++)\\?[\"']?\s*+[=:]\s*+\\?[\"']?")
_ASSIGNED_VALUE = re.compile(
    r"(?<=\")(?:\\.|[^\"\\])*+|(?<=')[^']*+|(?:(?:Bearer|Basic|OAuth)\s++)?+[^\s\"'\\&,;<>{}]++"
)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or field of this name carries a secret."""
    return "_".join(_words_of(name)) not in _PLAIN_IN_RECORDS and is_secret_key(name)


@lru_cache(maxsize=1024)
def is_secret_key(name: str) -> bool:
    """Whether a configuration key that no element declares is secret, judged by its name.

    `oauth.api.key`, `userPassword`, `db.passwd` and `session.id` are; `monkey` and `oauth.callback.url` are not.
    """
    words = _words_of(name)
    if words == ["state"]:
        return True
    if not words or "_".join(words) in _PLAIN_NAMES:
        return False
    *_, last = words
    secret = {word for word in words if _is_secret_word(word)}
    if not secret:
        return _SECRET_PHRASES.search("".join(words)) is not None
    is_endpoint = last in _PLACES and secret <= _ENDPOINT_WORDS
    return not is_endpoint and (last in secret or _singular(last) not in _ABOUT_A_SECRET)


def redact_headers(headers: Mapping[str, str], secrets: Collection[str] = ()) -> dict[str, str]:
    """Replace secret headers and known values."""
    return dict(_redact_pairs(headers.items(), secrets))


def redact_url(url: str, secrets: Collection[str] = ()) -> str:
    """Replace secret parameters, user information and known values of a URL."""
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
    """Redact a body (JSON, form or text) and cut it to MAX_BODY_CHARACTERS."""
    try:
        redacted = _redact_document(json.loads(body), secrets)
    except (ValueError, RecursionError):
        is_form = "x-www-form-urlencoded" in content_type
        redacted = _redact_form(body, secrets) if is_form else redact_text(body, secrets)
        redacted = redact_values(redacted, secrets)
    redacted = storable(redacted)
    if len(redacted) > MAX_BODY_CHARACTERS:
        cut = len(redacted) - MAX_BODY_CHARACTERS
        redacted = f"{redacted[:MAX_BODY_CHARACTERS]}… [{cut} more characters]"
    return redacted


def redact_text(text: str, secrets: Collection[str] = ()) -> str:
    """Redact free text.

    Replace credentials after their scheme, `name=value` of secret names, and known values.
    """
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


def redact_values(text: str, secrets: Collection[str]) -> str:
    """Replace known values only, for messages that are quoted otherwise unchanged."""
    known = _known(frozenset(secrets))
    if not known.is_in(text):
        return text
    shown, end = "", 0
    for start, stop in sorted(known.spans_in(text)):
        if start >= end:
            shown += text[end:start] + REDACTED
        end = max(end, stop)
    return shown + text[end:]


def storable(text: str) -> str:
    """Remove what databases do not accept: NUL, and lone surrogates."""
    if text.isascii():
        return text.replace("\x00", "")
    return text.replace("\x00", "").encode(errors="replace").decode()


def log_formatter() -> logging.Formatter:
    """Return the formatter of LOGGING: redacted JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(allow=()),
    ]
    # By default, structlog prints to standard output without redaction.
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


def _words_of(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _singular(word: str) -> str:
    return word.removesuffix("s")


def _is_secret_word(word: str) -> bool:
    return any(
        form in _SECRET_WORDS or form.endswith(_SECRET_ENDINGS) for form in (word, _singular(word))
    )


def _redact_document(document: Any, secrets: Collection[str]) -> str:
    """Return a JSON document as redacted text.

    Search it as a whole first: most hold no known value.
    """
    known = _known(frozenset(secrets))
    is_clean = _is_clean(document, known) or _is_clean(_hidden_by_name(document), known)
    shown = _redact_json(document, known.short if is_clean else secrets)
    redacted = json.dumps(shown, ensure_ascii=False)
    return redacted if is_clean else redact_values(redacted, secrets)


def _is_clean(document: Any, known: "_Known") -> bool:
    return not known.is_in(json.dumps(document, ensure_ascii=False))


def _hidden_by_name(value: Any, *, is_secret: bool = False) -> Any:
    """Return a document without the strings that are hidden because of their names."""
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


def _redact_json(value: Any, secrets: Collection[str], *, is_secret: bool = False) -> Any:
    """Redact a JSON value. is_secret: it is below a secret name, at any depth."""
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
    # A code next to a message is an error code, which operators need to read.
    return is_secret_name(name) and not (name == "code" and "message" in fields)


def _redact_form(form: str, secrets: Collection[str]) -> str:
    pairs = _redact_pairs(parse_qsl(form, keep_blank_values=True), secrets)
    return urlencode(pairs, safe="[]")


def _redact_pairs(
    pairs: Iterable[tuple[str, str]], secrets: Collection[str]
) -> list[tuple[str, str]]:
    pairs = [(name, REDACTED if value and is_secret_name(name) else value) for name, value in pairs]
    known = _known(frozenset(secrets))
    if not known.is_in("\n".join(chain.from_iterable(pairs))):
        secrets = known.short
    return [
        (
            redact_text(name, secrets),
            REDACTED if value and value in secrets else redact_text(value, secrets),
        )
        for name, value in pairs
    ]


@dataclass(frozen=True, slots=True)
class _Known:
    """A set of secrets, prepared because one exchange searches many times."""

    # How the secrets are written in text, URLs, forms, JSON and HTML, case folded.
    forms: tuple[str, ...]
    # As lower-case bytes, to find them in base64 or hex.
    encoded: tuple[bytes, ...]
    # Matches stretches long enough to encode one of them.
    runs: re.Pattern[str]
    # Secrets so short that they are only redacted as a whole value.
    short: frozenset[str]

    def is_in(self, text: str) -> bool:
        """Whether the text contains any of them, in any encoding."""
        if not self.forms:
            return False
        return self._is_in_plain(text) or self._is_in_percent_encoded(text)

    def spans_in(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of each; they may overlap."""
        folded = text.casefold()
        places = _places_in(text, folded)
        for form in self.forms:
            for start in _occurrences(folded, form):
                yield places(start)[0], places(start + len(form) - 1)[1]
        for decoding in _decodings(text):
            for secret in self.encoded:
                for start in _occurrences(decoding.decoded, secret):
                    yield decoding.span(start, start + len(secret))
        if self._is_in_percent_encoded(text):
            yield from self._spans_percent_encoded(text)

    def _is_in_plain(self, text: str) -> bool:
        folded = text.casefold()
        for form in self.forms:
            if form in folded:
                return True
        runs = self.runs.findall(text)
        return bool(runs) and self._is_in_decoded(" ".join(runs))

    def _is_in_decoded(self, text: str) -> bool:
        everything = b"\n".join(decoding.decoded for decoding in _decodings(text))
        return any(secret in everything for secret in self.encoded)

    def _is_in_percent_encoded(self, text: str) -> bool:
        for _ in range(_MAX_ENCODINGS):
            if "%" not in text or not _PERCENT.search(text):
                return False
            text = unquote(text)
            if self._is_in_plain(text) or (
                "+" in text and self._is_in_plain(text.replace("+", " "))
            ):
                return True
        return False

    def _spans_percent_encoded(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield stretches that contain a secret once decoded: the smallest parts of a URL."""
        for stretch in _STRETCH.finditer(text):
            if not self._is_in_percent_encoded(stretch[0]):
                continue
            parts = list(_PART_OF_URL.finditer(text, *stretch.span()))
            secret_parts = [part for part in parts if self._is_in_percent_encoded(part[0])]
            for part in secret_parts or [stretch]:
                yield part.span()


@dataclass(frozen=True, slots=True)
class _Decoding:
    """A text decoded from one of its first characters on, as base64 or hex."""

    # In lower case.
    decoded: bytes
    offset: int
    # Bits per character of the text.
    bits: int

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the characters that hold any bit of these bytes."""
        return self.offset + start * 8 // self.bits, self.offset - (-stop * 8 // self.bits)


def _decodings(text: str) -> Iterator[_Decoding]:
    """Yield decodings of which one contains any encoded part, wherever it starts.

    Linear in the text.

    A secret inside a longer value, as in the base64 of `id:secret`, is encoded differently depending on what precedes
    it. Characters outside the alphabet are read as zero.
    """
    characters = text.encode("ascii", "replace")
    for alphabet, bits, group, decode in (
        (_BASE64, 6, 4, binascii.a2b_base64),
        (_HEX, 4, 2, binascii.a2b_hex),
    ):
        translated = characters.translate(alphabet)
        translated += alphabet[:1] * group
        for offset in range(group):
            end = len(translated) - (len(translated) - offset) % group
            yield _Decoding(decode(translated[offset:end]).lower(), offset, bits)


def _occurrences[T: (str, bytes)](text: T, part: T) -> Iterator[int]:
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + len(part))


def _places_in(text: str, folded: str) -> Callable[[int], tuple[int, int]]:
    """Map a position in the folded text to the original character.

    Folding turns some into two.
    """
    if len(text) == len(folded):
        return lambda place: (place, place + 1)
    ends = list(accumulate(len(character.casefold()) for character in text))

    def of(place: int) -> tuple[int, int]:
        index = bisect_right(ends, place)
        return index, index + 1

    return of


@lru_cache(maxsize=256)
def _known(secrets: frozenset[str]) -> _Known:
    long_enough = [storable(secret) for secret in secrets if len(secret) >= MIN_SECRET_LENGTH]
    encoded = {form for secret in long_enough for form in _bytes_of(secret)}
    shortest = min(map(len, encoded), default=MIN_SECRET_LENGTH)
    # The number of base64 characters that it fills alone, bounded: the pattern retries each of them.
    length = min(shortest * 8 // 6, _MAX_RUN_LENGTH)
    return _Known(
        forms=tuple({form for secret in long_enough for form in _written_forms(secret)}),
        encoded=tuple(encoded),
        runs=re.compile(rf"[A-Za-z0-9+/_-]{{{length},}}+"),
        short=frozenset(secret for secret in secrets if len(secret) < MIN_SECRET_LENGTH),
    )


@lru_cache(maxsize=256)
def _written_forms(secret: str) -> set[str]:
    """Return the secret as text, URL, form, JSON and HTML write it, case folded."""
    forms = {form for case in _cases(secret) for form in _forms_of_case(case)}
    forms |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}
    return {form.casefold() for form in forms}


def _cases(secret: str) -> set[str]:
    """Return the secret in each case: beyond ASCII, the cases are encoded differently."""
    if secret.isascii():
        return {secret}
    return {secret, secret.lower(), secret.upper(), secret.title(), secret.swapcase()}


def _forms_of_case(secret: str) -> set[str]:
    percent = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    in_html = html.escape(secret)
    return percent | {
        secret,
        json.dumps(secret)[1:-1],
        in_html,
        in_html.replace("&#x27;", "&#39;"),
    }


@lru_cache(maxsize=256)
def _bytes_of(secret: str) -> set[bytes]:
    """Return the bytes that may be encoded, form-encoded ones too (RFC 6749 2.3.1)."""
    written = {
        form for case in _cases(secret) for form in (case, quote(case, safe=""), quote_plus(case))
    }
    # requests encodes Basic credentials as Latin-1.
    latin = {form.encode("latin-1") for form in written if max(form) <= "\xff"}
    return {form.lower() for form in latin | {form.encode() for form in written}}
