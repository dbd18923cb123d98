"""Read files of any format in rows and chunks, so that memory stays flat."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

from instances.errors import InputError

CHUNK_BYTES = 64 * 1024
MAX_ROW_BYTES = 4 * 1024 * 1024
MAX_ROWS = 500_000
# What Excel calls "CSV" on a Western Windows.
WINDOWS_1252 = "windows-1252"
NOT_UTF8 = (
    "the text is not valid UTF-8. Save the file as UTF-8 (in Excel: “CSV UTF-8”). If it is Windows-1252 or ISO-8859-1, "
    "choose that encoding."
)
# The longer ones first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of a file.

    number: its line, or its position in a JSON list. body: of `POST /instances`.

    error: what is wrong with the row and where; empty if the body is well-formed.
    """

    number: int
    body: dict[str, Any] = field(repr=False)
    error: str = ""


def chunks_of(stream: BinaryIO) -> Iterator[bytes]:
    """Yield a file as it is. The first chunk is empty only if the whole file is."""
    yield stream.read(CHUNK_BYTES)
    yield from iter(partial(stream.read, CHUNK_BYTES), b"")


def utf8_of(chunks: Iterator[bytes], *, encoding: str = "") -> Iterator[bytes]:
    """Yield the text of a file as UTF-8 without a byte order mark.

    A byte order mark decides the encoding, as Windows programs write it. encoding: of a file without one, if it is
    neither UTF-8 nor UTF-16. The first chunk is empty only if there is no text.
    """
    head = next(chunks)
    if codec := _marked(head) or encoding or _unmarked_utf16(head):
        yield from _decoded(chain([head], chunks), codec)
    else:
        yield head.removeprefix(codecs.BOM_UTF8)
        yield from chunks


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines with their line ends: LF, CR LF, or CR alone.

    Raises InputError for a line longer than MAX_ROW_BYTES.
    """
    rest = b""
    number = 1
    for chunk in chunks:
        # Of bytes, not of text: U+2028 may stand inside a JSON string (RFC 8259 7).
        lines = (rest + chunk).splitlines(keepends=True)
        # The last line may go on in the next chunk; after CR there may be LF.
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        yield from lines
        number += len(lines)
        if len(rest) > MAX_ROW_BYTES:
            raise InputError(f"Line {number} is too long: the limit is {MAX_ROW_BYTES:,} bytes.")
    if rest:
        yield rest


def text_lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield lines as text. Raises InputError that names the line that is too long or not valid UTF-8."""
    for number, line in enumerate(lines_of(chunks), start=1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise not_utf8(number) from None


def text_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Decode chunk by chunk.

    Raises InputError that names the line that is not valid UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    try:
        for chunk in chunks:
            text = decoder.decode(chunk)
            yield text
            line += text.count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise not_utf8(line + error.object.count(b"\n", 0, error.start)) from None


def not_utf8(line: int) -> InputError:
    return InputError(f"Line {line}: {NOT_UTF8}")


def _marked(head: bytes) -> str:
    return next((codec for mark, codec in _MARKS if head.startswith(mark)), "")


def _unmarked_utf16(head: bytes) -> str:
    """Recognize UTF-16 without a byte order mark: every second byte of ASCII text is NUL."""
    start = head[:200]
    if start.count(0) * 5 <= len(start) * 2:
        return ""
    return "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"


def _decoded(chunks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    """Raises InputError if the text is not valid."""
    pieces = codecs.iterdecode(chunks, codec)
    try:
        yield next(pieces, "").encode()
        yield from (piece.encode() for piece in pieces)
    except UnicodeDecodeError:
        raise InputError(f"The text is not valid {codec.upper()}.") from None
