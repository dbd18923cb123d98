"""Read JSON files of `POST /instances` bodies (contract 7.1).

One object, a list, or one object per line. Decision 10 says why not by ijson.
"""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, NoReturn

from instances.bulk.files.lines import MAX_ROW_BYTES, FileRow, lines_of, not_utf8, text_of
from instances.errors import InputError
from instances.provisioning.create import parse_body
from instances.redaction import storable

# Lists of a body.
_OWN_LISTS = {"tags"}


def read_json_list(
    chunks: Iterator[bytes], opening_length: int, *, closing: str
) -> Iterator[FileRow]:
    """Yield the bodies of a list, one in memory at a time.

    opening_length: of what comes before the first body. closing: what comes after the last one.

    Raises InputError where the JSON is invalid.
    """
    text = _Text(text_of(chunks))
    text.skip(opening_length)
    number = 0
    while text.peek() != "]" or number:
        number += 1
        yield _row("Row", number, text.take_value())
        separator = text.peek()
        if separator == "]":
            break
        if separator != ",":
            raise text.error("Expecting ',' delimiter")
        text.skip(1)
    for bracket in closing:
        if text.peek() != bracket:
            raise text.error(f"Expecting '{bracket}'")
        text.skip(1)
    if text.peek():
        raise text.error("Extra data")


def read_json_objects(chunks: Iterator[bytes]) -> Iterator[FileRow]:
    """Yield one body per line, or a single body that spans several lines."""
    lines = ((number, line) for number, line in enumerate(lines_of(chunks), 1) if line.strip())
    first = next(lines)
    second = next(lines, None)
    if second is None or _goes_on(first[1]):
        rest = chain([second] if second else [], lines)
        yield _read_single(first, rest)
        return
    for number, line in chain([first, second], lines):
        try:
            yield _row("Line", number, _load(line.decode()))
        except UnicodeDecodeError:
            raise not_utf8(number) from None
        except json.JSONDecodeError as error:
            yield FileRow(number, {}, str(_not_json(error.msg, number, error.colno)))
        except InputError as error:
            yield FileRow(number, {}, f"Line {number}: {error}")


def _goes_on(line: bytes) -> bool:
    """Whether a line starts an object that continues on the next lines."""
    try:
        _load(line.decode())
    except json.JSONDecodeError as error:
        return error.pos >= len(error.doc.rstrip())
    except (UnicodeDecodeError, InputError):
        return False
    return False


def _read_single(first: tuple[int, bytes], rest: Iterator[tuple[int, bytes]]) -> FileRow:
    # Blank lines are kept, so that errors name the right line.
    number, content = first
    content = b"\n" * (number - 1) + content
    for number, line in rest:
        content += b"\n" * (number - 1 - content.count(b"\n")) + line
        if len(content) > MAX_ROW_BYTES:
            raise InputError(f"The body is too long: the limit is {MAX_ROW_BYTES} bytes.")
    text = "".join(text_of([content]))
    try:
        document = _load(text)
        _require_single(document)
        return _row("Row", 1, document)
    except json.JSONDecodeError as error:
        raise _not_json(error.msg, error.lineno, error.colno) from None


def _require_single(document: Any) -> None:
    """Refuse an object around a list that is not the first thing in it."""
    for key, value in document.items() if isinstance(document, dict) else ():
        if (
            key not in _OWN_LISTS
            and isinstance(value, list)
            and value
            and isinstance(value[0], dict)
        ):
            raise InputError(
                f"The file is one object with a list in “{storable(key[:100])}”. If that list holds the instances, save it alone, "
                'or as {"instances": [...]}.'
            )


def _row(place: str, number: int, document: Any) -> FileRow:
    try:
        parse_body(document)
        # A database cannot store half of a surrogate pair as text.
        json.dumps(document, ensure_ascii=False).encode()
    except InputError as error:
        # Fields are named, and a name can contain half of a surrogate pair.
        return FileRow(number, {}, storable(f"{place} {number}: {error}"))
    except UnicodeEncodeError:
        why = "it contains invalid characters (lone surrogates)."
        return FileRow(number, {}, f"{place} {number}: {why}")
    return FileRow(number, document)


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError:
        raise
    except (RecursionError, ValueError) as error:
        raise _unreadable(error) from None


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not JSON.")


def _unreadable(error: Exception) -> InputError:
    if isinstance(error, RecursionError):
        return InputError("The JSON is nested too deeply.")
    # A number with more digits than Python converts.
    return InputError(f"The JSON cannot be read: {error}.")


def _not_json(why: str, line: int, column: int) -> InputError:
    return InputError(f"Line {line}, column {column}: invalid JSON ({why}).")


class _Text:
    """A text being read, with the current line and column.

    Only the chunk being read is in memory.
    """

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = next(pieces)
        self._position = 0
        self._line = self._column = 1
        self._decoder = json.JSONDecoder(parse_constant=_refuse_constant)

    def peek(self) -> str:
        """Return the next non-whitespace character, unconsumed; empty at the end."""
        while True:
            while self._position < len(self._text):
                if not self._text[self._position].isspace():
                    return self._text[self._position]
                self.skip(1)
            if not self._fill():
                return ""

    def skip(self, count: int) -> None:
        passed = self._text[self._position : self._position + count]
        self._line, self._column = self._place_after(passed)
        self._position += count

    def take_value(self) -> Any:
        """Consume and return the next JSON value. Raises InputError if there is none."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                is_too_long = len(self._text) - self._position > MAX_ROW_BYTES
                if is_too_long or not self._fill():
                    raise self.error(error.msg, at=error.pos) from None
            except (RecursionError, ValueError) as error:
                raise _unreadable(error) from None
            else:
                self.skip(end - self._position)
                return value

    def error(self, why: str, *, at: int | None = None) -> InputError:
        passed = self._text[self._position : self._position if at is None else at]
        return _not_json(why, *self._place_after(passed))

    def _place_after(self, passed: str) -> tuple[int, int]:
        if lines := passed.count("\n"):
            return self._line + lines, len(passed) - passed.rfind("\n")
        return self._line, self._column + len(passed)

    def _fill(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._text = self._text[self._position :] + piece
        self._position = 0
        return True
