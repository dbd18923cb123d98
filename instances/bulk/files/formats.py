"""Read a file of instances row by row.

CSV, an Excel workbook, JSON Lines, a JSON list, or one JSON body (contract 7.1).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import BinaryIO

from instances.bulk.files.csv_files import read_csv
from instances.bulk.files.json_files import read_json_list, read_json_objects
from instances.bulk.files.lines import MAX_ROWS, FileRow, chunks_of, utf8_of
from instances.bulk.files.workbooks import SIGNATURE, read_workbook
from instances.errors import InputError

MAX_ERRORS_SHOWN = 20
# A list, alone or as {"instances": [...]}; the key may be another one if the list holds objects.
_LIST = re.compile(rb'\s*(\{\s*"(?:instances"\s*:\s*(?=\[)|(?!tags")\w+"\s*:\s*(?=\[\s*\{)))?\[')
# Files that are no text, by their first bytes.
_FOREIGN = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old format (.xls), or one that is protected by a password",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "compressed (gzip)",
    b"7z\xbc\xaf": "compressed (7z)",
    b"{\\rtf": "an RTF text",
    b"<": "HTML or XML",
}


def read_rows(
    stream: BinaryIO,
    *,
    default_element: str = "",
    encoding: str = "",
    on_note: Callable[[str], object] = lambda note: None,
) -> Iterator[FileRow]:
    """Yield the rows of a file. Memory does not grow with the number of rows.

    default_element: the element key for rows that name none. encoding: of text that is neither UTF-8 nor UTF-16.
    on_note: is called with what the user should know about a file that can be read.

    Bodies are not checked against their element here. A malformed row has an `error`, and reading continues. Raises
    InputError if the file cannot be read any further, if it has no rows, and if it has more than MAX_ROWS.
    """
    count = 0
    for row in _parse(stream, encoding, on_note):
        count += 1
        if count > MAX_ROWS:
            raise InputError(f"The file has more than {MAX_ROWS:,} rows. Split it.")
        if default_element and not row.body.get("element"):
            row = replace(row, body=row.body | {"element": {"key": default_element}})
        yield row
    if not count:
        raise InputError("The file contains no instances.")


def file_error(errors: list[str], count: int) -> InputError:
    """Join the first errors of a file, and say how many more there are.

    count: of all errors.
    """
    more = count - len(errors)
    return InputError("\n".join([*errors, *([f"{more} more rows have errors."] if more else [])]))


def _parse(stream: BinaryIO, encoding: str, on_note: Callable[[str], object]) -> Iterator[FileRow]:
    raw = chunks_of(stream)
    start = next(raw)
    if start.startswith(SIGNATURE):
        return read_workbook(chain([start], raw), on_note=on_note)
    _require_known(start)
    chunks = utf8_of(chain([start], raw), encoding=encoding)
    head = next(chunks)
    _require_known(head)
    whole = chain([head], chunks)
    if opening := _LIST.match(head):
        return read_json_list(whole, opening.end(), closing="]}" if opening[1] else "]")
    match head.lstrip()[:1]:
        case b"":
            raise InputError("Line 1, column 1: expected JSON or the header of a CSV file.")
        case b"{":
            return read_json_objects(whole)
        case _ if b"\x00" in head:
            raise InputError("The file is not text. Save it as .xlsx or CSV (UTF-8).")
    return read_csv(whole, on_note=on_note)


def _require_known(head: bytes) -> None:
    for start, kind in _FOREIGN.items():
        if head.lstrip().startswith(start):
            raise InputError(f"The file is {kind}. Save it as .xlsx or CSV (UTF-8).")
