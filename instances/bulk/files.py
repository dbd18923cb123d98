"""Read a file of instances row by row.

CSV, JSON Lines, a JSON list, or one JSON body (contract 7.1), in UTF-8 or UTF-16.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import BinaryIO

from instances.bulk.csv_files import read_csv
from instances.bulk.json_files import read_json_list, read_json_objects
from instances.bulk.lines import FileRow, chunks_of
from instances.errors import InputError

MAX_ERRORS_SHOWN = 20
# A list, alone or as {"instances": [...]}.
_LIST = re.compile(rb'\s*(\{\s*"instances"\s*:\s*)?\[')


def read_rows(stream: BinaryIO, *, default_element: str = "") -> Iterator[FileRow]:
    """Yield the rows of a file. Memory does not grow with the number of rows.

    default_element: the element key for rows that name none. Bodies are not checked against their element here. A
    malformed row has an `error`, and reading continues. Raises InputError if the file cannot be read any further, and
    if it has no rows.
    """
    is_empty = True
    for row in _parse(stream):
        is_empty = False
        if default_element and not row.body.get("element"):
            row = replace(row, body=row.body | {"element": {"key": default_element}})
        yield row
    if is_empty:
        raise InputError("The file contains no instances.")


def file_error(errors: list[str], count: int) -> InputError:
    """Join the first errors of a file, and say how many more there are.

    count: of all errors.
    """
    more = count - len(errors)
    return InputError("\n".join([*errors, *([f"{more} more rows have errors."] if more else [])]))


def _parse(stream: BinaryIO) -> Iterator[FileRow]:
    chunks = chunks_of(stream)
    head = next(chunks)
    whole = chain([head], chunks)
    if opening := _LIST.match(head):
        return read_json_list(whole, opening.end(), closing="]}" if opening[1] else "]")
    match head.lstrip()[:1]:
        case b"":
            raise InputError("Line 1, column 1: expected JSON or the header of a CSV file.")
        case b"{":
            return read_json_objects(whole)
    return read_csv(whole)
