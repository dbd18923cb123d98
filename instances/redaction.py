"""What is secret, and what a recorded exchange, a log line or an error may show of it: pure functions.

By name: fields, headers and configuration keys that carry secrets; this is the only list of them. By value: the
secrets that the caller knows it sent, in whatever case, percent-encoded, escaped as in JSON or HTML, and in base64 or
hex. Both are applied, so a provider that echoes a password under a name of its own does not leak it.
"""

import binascii
import html
import json
import logging
import re
import sys
from array import array
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
# In running text a shorter value would blacken ordinary words; a field that is nothing but it is redacted.
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
# Secret, though none of the words is by itself: SAMLResponse, passwordhash.
_SECRET_PHRASES = re.compile(
    "apikey|connectionstring|passcode|passphrase|passwd|password|pkcs12|relaystate|samlart|samlresponse|secretid|"
    "securityanswer|sessid|sessionid|tokenid"
)
# A last word after which a name tells of a secret, and is none: session.timeout, token_type.
_ABOUT_A_SECRET = {
    "algorithm", "at", "count", "enabled", "expire", "expiration", "expiry", "format", "in", "interval", "length",
    "lifetime", "method", "required", "timeout", "ttl", "type", "version",
}  # fmt: skip
# What OAuth's endpoints are named after, and a last word after which such a name is an address: auth.url.
_ENDPOINT_WORDS = {"auth", "authorization", "session", "token"}
_PLACES = {"domain", "endpoint", "host", "port", "server", "uri", "url"}
# Names with such a word that say nothing secret, and that an operator needs to read.
_PLAIN_NAMES = {"error_code", "error_codes", "status_code"}
# Likewise in a record: an element's key. As a configuration key of its own, `key` is an account's.
_PLAIN_IN_RECORDS = {"element_key", "key", "key_id"}
# Encoded twice, and once more on the way.
_MAX_ENCODINGS = 3
# Of URLs, of JSON and the languages it is written with, of HTML and XML; and where a long value was broken into lines.
# Most characters begin none, which the first group finds out at once.
_ESCAPE = re.compile(
    r"(?=[%\\&\r\n])(?:"
    r"%[0-7][0-9A-Fa-f]|(?:%[89A-Fa-f][0-9A-Fa-f])++|\\x[0-7][0-9A-Fa-f]|(?:\\x[89A-Fa-f][0-9A-Fa-f])++"
    r"|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|(?:\\\\)++|\\[\"/']"
    r"|(?:\\[nr][ \t]*+)++|(?:\r?\n[ \t]*+)++|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});)"
)
_LONGEST_RUN_ASKED_FOR = 20
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64 = bytes(
    one if one in _BASE64_ALPHABET else {b"-"[0]: b"+"[0], b"_"[0]: b"/"[0]}.get(one, b"A"[0])
    for one in range(256)
)
_HEX = bytes(one if one in b"0123456789abcdefABCDEF" else b"0"[0] for one in range(256))
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
    return "_".join(_words_of(name)) not in _PLAIN_IN_RECORDS and is_secret_key(name)


@lru_cache(maxsize=1024)
def is_secret_key(name: str) -> bool:
    """Whether the value of a configuration key that no element declares is a secret, by its name.

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
    """Free text: credentials after their scheme, `name=value` of secret names, and known values."""
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
    """Known values alone: for words that are to stay as they were said."""
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
    """Without what no database takes: NUL, and half of a surrogate pair."""
    if text.isascii():
        return text.replace("\x00", "")
    return text.replace("\x00", "").encode(errors="replace").decode()


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


def _words_of(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _singular(word: str) -> str:
    return word.removesuffix("s")


def _is_secret_word(word: str) -> bool:
    return any(
        one in _SECRET_WORDS or one.endswith(_SECRET_ENDINGS) for one in (word, _singular(word))
    )


def _redact_document(document: Any, secrets: Collection[str]) -> str:
    """A JSON document as text. Known values are looked for in the whole of it first: most documents hold none."""
    known = _known(frozenset(secrets))
    is_clean = _is_clean(document, known) or _is_clean(_hidden_by_name(document), known)
    shown = _redact_json(document, known.short if is_clean else secrets)
    redacted = json.dumps(shown, ensure_ascii=False)
    return redacted if is_clean else redact_values(redacted, secrets)


def _is_clean(document: Any, known: "_Known") -> bool:
    return not known.is_in(json.dumps(document, ensure_ascii=False))


def _hidden_by_name(value: Any, *, is_secret: bool = False) -> Any:
    """A document without the texts that its names hide whatever they are."""
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
    """What stands for one of some secrets, prepared once: the record of one exchange asks for it many times.

    forms: as the secrets are written in text, URLs, forms, JSON and HTML, case folded. encoded: as bytes, in lower case,
    for what is in base64 or hex. runs: finds what is long enough to hold one of them. short: secrets that would blacken
    ordinary words, so hidden only where they are all of a value.
    """

    forms: tuple[str, ...]
    encoded: tuple[bytes, ...]
    runs: re.Pattern[str]
    short: frozenset[str]

    def is_in(self, text: str) -> bool:
        """Whether any is there, in whatever encoding."""
        if not self.forms:
            return False
        return self._is_in_plain(text) or any(map(self._is_in_reading, _readings(text)))

    def spans_in(self, text: str) -> Iterator[tuple[int, int]]:
        """From where to where each is; they may overlap."""
        yield from self._spans_in_plain(text)
        if not any(map(self._is_in_reading, _readings(text))):
            return
        starts, ends = array("L", range(len(text))), array("L", range(1, len(text) + 1))
        for _ in _readings(text):
            text, starts, ends = _resolved(text, starts, ends)
            for start, stop in self._spans_in_reading(text):
                yield starts[start], ends[stop - 1]

    def _is_in_reading(self, text: str) -> bool:
        # In a form, + is a blank.
        return self._is_in_plain(text) or (
            "+" in text and self._is_in_plain(text.replace("+", " "))
        )

    def _spans_in_reading(self, text: str) -> Iterator[tuple[int, int]]:
        yield from self._spans_in_plain(text)
        if "+" in text:
            yield from self._spans_in_plain(text.replace("+", " "))

    def _spans_in_plain(self, text: str) -> Iterator[tuple[int, int]]:
        folded = text.casefold()
        places = _places_in(text, folded)
        for form in self.forms:
            for start in _occurrences(folded, form):
                yield places(start)[0], places(start + len(form) - 1)[1]
        for decoding in _decodings(text):
            for one in self.encoded:
                for start in _occurrences(decoding.decoded, one):
                    yield decoding.span(start, start + len(one))

    def _is_in_plain(self, text: str) -> bool:
        folded = text.casefold()
        for form in self.forms:
            if form in folded:
                return True
        runs = self.runs.findall(text)
        return bool(runs) and self._is_in_decoded(" ".join(runs))

    def _is_in_decoded(self, text: str) -> bool:
        everything = b"\n".join(decoding.decoded for decoding in _decodings(text))
        return any(one in everything for one in self.encoded)


def _readings(text: str) -> Iterator[str]:
    """The text with its escapes resolved: once, twice, and so on, as a value may be escaped in a value."""
    for _ in range(_MAX_ENCODINGS):
        if not _ESCAPE.search(text):
            return
        text = _ESCAPE.sub(lambda found: _meaning(found[0]), text)
        yield text


def _resolved(
    text: str, starts: "array[int]", ends: "array[int]"
) -> tuple[str, "array[int]", "array[int]"]:
    """The next reading of a text, and from where to where each of its characters was in the first one."""
    parts, new_starts, new_ends, done = [], array("L"), array("L"), 0
    for escape in _ESCAPE.finditer(text):
        meaning = _meaning(escape[0])
        parts += [text[done : escape.start()], meaning]
        new_starts += starts[done : escape.start()]
        new_starts.extend([starts[escape.start()]] * len(meaning))
        new_ends += ends[done : escape.start()]
        new_ends.extend([ends[escape.end() - 1]] * len(meaning))
        done = escape.end()
    return "".join([*parts, text[done:]]), new_starts + starts[done:], new_ends + ends[done:]


@lru_cache(maxsize=1024)
def _meaning(escape: str) -> str:
    """What an escape stands for; nothing for the end of a line."""
    if escape.startswith("&#"):
        digits = escape[2:-1].lower()
        number = int(digits[1:], 16) if digits.startswith("x") else int(digits)
        return chr(number) if number <= sys.maxunicode else ""
    if escape.startswith("&"):
        return html.unescape(escape)
    if escape.startswith(("%", "\\x")):
        return unquote(escape.replace("\\x", "%"))
    if escape.startswith("\\u"):
        return str(json.loads(f'"{escape}"'))
    if escape.startswith("\\\\"):
        return escape[: len(escape) // 2]
    return escape[1:] if escape[1:] in {'"', "/", "'"} else ""


@dataclass(frozen=True, slots=True)
class _Decoding:
    """A text decoded as a whole from one of its first characters on, as if all of it were base64 or hex.

    decoded: its bytes, in lower case. Each character stands for so many bits of it.
    """

    decoded: bytes
    offset: int
    bits: int

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The characters that hold a bit of these bytes."""
        return self.offset + start * 8 // self.bits, self.offset - (-stop * 8 // self.bits)


def _decodings(text: str) -> Iterator[_Decoding]:
    """Whatever is encoded in the text, wherever it begins, stands in one of these; linear in the text.

    A secret inside a longer value, as in the base64 of `id:secret`, has no form of its own: that depends on what is
    before it. What belongs to neither alphabet is read as zero.
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


def _occurrences[T: (str, bytes)](text: T, one: T) -> Iterator[int]:
    start = text.find(one)
    while start >= 0:
        yield start
        start = text.find(one, start + len(one))


def _places_in(text: str, folded: str) -> Callable[[int], tuple[int, int]]:
    """From where to where the character is that a folded one came from: folding makes two of some."""
    if len(text) == len(folded):
        return lambda place: (place, place + 1)
    ends = list(accumulate(len(character.casefold()) for character in text))

    def of(place: int) -> tuple[int, int]:
        index = bisect_right(ends, place)
        return index, index + 1

    return of


@lru_cache(maxsize=256)
def _known(secrets: frozenset[str]) -> _Known:
    telling = [storable(one) for one in secrets if len(one) >= MIN_SECRET_LENGTH]
    encoded = {one for secret in telling for one in _bytes_of(secret)}
    shortest = min(map(len, encoded), default=MIN_SECRET_LENGTH)
    # So many characters of base64 are filled by it alone; the pattern tries each of them again.
    length = min(shortest * 8 // 6, _LONGEST_RUN_ASKED_FOR)
    return _Known(
        forms=tuple({form for secret in telling for form in _written_forms(secret)}),
        encoded=tuple(encoded),
        runs=re.compile(rf"[A-Za-z0-9+/_-]{{{length},}}+"),
        short=frozenset(one for one in secrets if len(one) < MIN_SECRET_LENGTH),
    )


@lru_cache(maxsize=256)
def _written_forms(secret: str) -> set[str]:
    """The secret as it stands in text, URLs, forms, JSON and HTML, case folded."""
    # As a reading has it, without the ends of lines.
    written = {secret, "".join(secret.splitlines())}
    forms = {form for text in written for one in _cases(text) for form in _forms_of_case(one)}
    forms |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}
    return {form.casefold() for form in forms}


def _cases(secret: str) -> set[str]:
    """Of other letters than ASCII's, each case has an encoding of its own."""
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
    """What an encoding may be made of: the secret, or what a client makes of it before (RFC 6749 2.3.1)."""
    written = {
        form for one in _cases(secret) for form in (one, quote(one, safe=""), quote_plus(one))
    }
    # requests takes Latin-1 for Basic credentials.
    latin = {one.encode("latin-1") for one in written if max(one) <= "\xff"}
    return {one.lower() for one in latin | {one.encode() for one in written}}
