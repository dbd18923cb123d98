"""Replace known secrets in text, in any case and encoding."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from instances.redaction.encoded import (
    decodings,
    encodable_bytes,
    readings,
    resolve_escapes,
    written_forms,
)

REDACTED = "[redacted]"
# Shorter values would blacken ordinary words in running text. They are redacted only as complete values.
MIN_SECRET_LENGTH = 4
_MAX_RUN_LENGTH = 20


def redact_values(text: str, secrets: Collection[str]) -> str:
    """Replace only known values, and leave everything else as it is."""
    return known_secrets(frozenset(secrets)).redacted(text)


def storable(text: str) -> str:
    """Remove NUL and replace lone surrogates, which no database accepts."""
    if text.isascii():
        return text.replace("\x00", "")
    return text.replace("\x00", "").encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class KnownSecrets:
    """What to search for, prepared once: recording one exchange searches many texts for the same secrets.

    values: the secrets themselves. forms: the secrets as written in text, URLs, forms, JSON and HTML, case folded.
    encoded: their bytes in lower case, to find in decoded base64 and hex. runs: matches text that is long enough to
    contain one in base64 or hex.
    """

    values: frozenset[str]
    forms: tuple[str, ...]
    encoded: tuple[bytes, ...]
    runs: re.Pattern[str]

    @property
    def short(self) -> "KnownSecrets":
        """Those that are shorter than MIN_SECRET_LENGTH: all that is left to look for in text that is_in() passed."""
        return known_secrets(frozenset(filter(_is_short, self.values)))

    def redacted(self, text: str) -> str:
        """Return the text with each secret replaced."""
        if not self.is_in(text):
            return text
        shown, end = "", 0
        for start, stop in sorted(self.spans_in(text)):
            if start >= end:
                shown += text[end:start] + REDACTED
            end = max(end, stop)
        return shown + text[end:]

    def is_in(self, text: str) -> bool:
        """Whether the text contains a secret in any encoding."""
        if not self.forms:
            return False
        return self._is_in_plain(text) or any(map(self._is_in_reading, readings(text)))

    def spans_in(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where each secret starts and ends. Spans may overlap."""
        yield from self._spans_in_plain(text)
        if not any(map(self._is_in_reading, readings(text))):
            return
        starts, ends = array("L", range(len(text))), array("L", range(1, len(text) + 1))
        for _ in readings(text):
            text, starts, ends = resolve_escapes(text, starts, ends)
            for start, stop in self._spans_in_reading(text):
                yield starts[start], ends[stop - 1]

    def _is_in_reading(self, text: str) -> bool:
        # In a form, + is a space.
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
        for decoding in decodings(text):
            for secret in self.encoded:
                for start in _occurrences(decoding.decoded, secret):
                    yield decoding.span(start, start + len(secret))

    def _is_in_plain(self, text: str) -> bool:
        folded = text.casefold()
        for form in self.forms:
            if form in folded:
                return True
        runs = self.runs.findall(text)
        return bool(runs) and self._is_in_decoded(" ".join(runs))

    def _is_in_decoded(self, text: str) -> bool:
        everything = b"\n".join(decoding.decoded for decoding in decodings(text))
        return any(secret in everything for secret in self.encoded)


def _occurrences[T: (str, bytes)](text: T, part: T) -> Iterator[int]:
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + len(part))


def _places_in(text: str, folded: str) -> Callable[[int], tuple[int, int]]:
    """Return a function from a place in the folded text to the span of its character in the text.

    Case folding turns some characters into two.
    """
    if len(text) == len(folded):
        return lambda place: (place, place + 1)
    ends = list(accumulate(len(character.casefold()) for character in text))

    def of(place: int) -> tuple[int, int]:
        index = bisect_right(ends, place)
        return index, index + 1

    return of


@lru_cache(maxsize=256)
def known_secrets(secrets: frozenset[str]) -> KnownSecrets:
    long = [storable(secret) for secret in secrets if not _is_short(secret)]
    encoded = {data for secret in long for data in encodable_bytes(secret)}
    shortest = min(map(len, encoded), default=MIN_SECRET_LENGTH)
    # The shortest secret fills this many characters of base64. Capped, because the pattern retries at each character.
    length = min(shortest * 8 // 6, _MAX_RUN_LENGTH)
    return KnownSecrets(
        values=secrets,
        forms=tuple({form for secret in long for form in written_forms(secret)}),
        encoded=tuple(encoded),
        runs=re.compile(rf"[A-Za-z0-9+/_-]{{{length},}}+"),
    )


def _is_short(secret: str) -> bool:
    return len(secret) < MIN_SECRET_LENGTH
