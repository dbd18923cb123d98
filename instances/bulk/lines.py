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
    """Yield the file as UTF-8 without a byte order mark.

    UTF-16, as Windows programs save it, is recognized by its byte order mark. The first chunk is empty only if the
    whole file is.
    """
    head = stream.read(CHUNK_BYTES)
    rest = iter(partial(stream.read, CHUNK_BYTES), b"")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield from _utf8_of(chain([head], rest))
    else:
        yield head.removeprefix(codecs.BOM_UTF8)
        yield from rest


def _utf8_of(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decode UTF-16. Raises InputError if it is not valid."""
    pieces = codecs.iterdecode(chunks, "utf-16")
    try:
        yield next(pieces, "").encode()
        yield from (piece.encode() for piece in pieces)
    except UnicodeDecodeError:
        raise InputError("The text is not valid UTF-16.") from None


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines with their line ends.

    Raises InputError for a line longer than MAX_ROW_BYTES.
    """
    rest = b""
    number = 1
    for chunk in chunks:
        # Not splitlines(): U+2028 may stand inside a JSON string (RFC 8259 7).
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
        number += len(whole)
        if len(rest) > MAX_ROW_BYTES:
            raise InputError(f"Line {number} is too long: the limit is {MAX_ROW_BYTES} bytes.")
    if rest:
        yield rest


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
        line += error.object.count(b"\n", 0, error.start)
        raise InputError(f"Line {line}: the text is not valid UTF-8.") from None
