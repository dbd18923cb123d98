"""How a secret may be written in a text: escaped, percent-encoded, in base64 or in hex."""

import binascii
import html
import json
import re
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

# A value may be encoded twice, and once more in transit.
_MAX_ENCODINGS = 3
# Escapes of URLs, of JSON and programming languages, of HTML and XML, and line breaks inside a long value. Most
# characters start none of them; the first group rules these out quickly.
_ESCAPE = re.compile(
    r"(?=[%\\&\r\n])(?:"
    r"%[0-7][0-9A-Fa-f]|(?:%[89A-Fa-f][0-9A-Fa-f])++|\\x[0-7][0-9A-Fa-f]|(?:\\x[89A-Fa-f][0-9A-Fa-f])++"
    r"|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|(?:\\\\)++|\\[\"/']"
    r"|(?:\\[nr][ \t]*+)++|(?:\r?\n[ \t]*+)++|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});)"
)
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# Translation tables: both alphabets of base64 become one, and whatever does not belong to it is read as zero.
_BASE64 = bytes(
    byte if byte in _BASE64_ALPHABET else {b"-"[0]: b"+"[0], b"_"[0]: b"/"[0]}.get(byte, b"A"[0])
    for byte in range(256)
)
_HEX = bytes(byte if byte in b"0123456789abcdefABCDEF" else b"0"[0] for byte in range(256))


def readings(text: str) -> Iterator[str]:
    """Yield the text with its escapes resolved once, twice and three times: escaped values may be nested."""
    for _ in range(_MAX_ENCODINGS):
        if not _ESCAPE.search(text):
            return
        text = _ESCAPE.sub(lambda found: _meaning(found[0]), text)
        yield text


def resolve_escapes(
    text: str, starts: "array[int]", ends: "array[int]"
) -> tuple[str, "array[int]", "array[int]"]:
    """Return the next reading of a text.

    starts, ends: where each of its characters starts and ends in the original text.
    """
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
    """Return what an escape stands for. A line break stands for nothing."""
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
class Decoding:
    """A text decoded from one of its first characters on, as if all of it were base64 or hex.

    decoded: its bytes, in lower case. offset: the character where decoding started. bits: per character.
    """

    decoded: bytes
    offset: int
    bits: int

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the range of characters that hold a bit of these bytes."""
        return self.offset + start * 8 // self.bits, self.offset - (-stop * 8 // self.bits)


def decodings(text: str) -> Iterator[Decoding]:
    """Decode the text at each possible offset, so that an encoded value is in one of the results.

    How a secret inside a longer value is encoded depends on what is before it, as in the base64 of `id:secret`. So the
    text is decoded instead of searching for encoded secrets. Takes linear time.
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
            yield Decoding(decode(translated[offset:end]).lower(), offset, bits)


@lru_cache(maxsize=256)
def written_forms(secret: str) -> set[str]:
    """Return the secret as written in text, URLs, forms, JSON and HTML, case folded."""
    # Readings contain no line breaks.
    written = {secret, "".join(secret.splitlines())}
    forms = {form for text in written for case in _cases(text) for form in _forms_of_case(case)}
    forms |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}
    return {form.casefold() for form in forms}


def _cases(secret: str) -> set[str]:
    """Return the cases in which the secret may be encoded: each has an encoding of its own outside ASCII."""
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
def encodable_bytes(secret: str) -> set[bytes]:
    """Return what base64 or hex may contain: the secret, or its form encoding (RFC 6749 2.3.1), in lower case."""
    written = {
        form for case in _cases(secret) for form in (case, quote(case, safe=""), quote_plus(case))
    }
    # requests encodes Basic credentials as Latin-1.
    latin = {form.encode("latin-1") for form in written if max(form) <= "\xff"}
    return {encoded.lower() for encoded in latin | {form.encode() for form in written}}
