"""A file of instances, read row by row: CSV, JSON Lines, a JSON list, or one JSON body (contract 7.1)."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import BinaryIO

from instances.bulk.csv_files import read_csv
from instances.bulk.json_files import read_json_list, read_json_objects
from instances.bulk.lines import FileRow, chunks_of
from instances.errors import InputError

MAX_ERRORS_TOLD = 20


def read_rows(stream: BinaryIO, *, default_element: str = "") -> Iterator[FileRow]:
    """The rows of a file; whether an element takes them is not looked at. Memory does not grow with the rows.

    default_element: the key for rows that name none. A wrong row says so in its error, and the next ones are read
    all the same; raises InputError where nothing more can be read, and when there is no row.
    """
    is_empty = True
    for row in _parse(stream):
        is_empty = False
        if default_element and not row.body.get("element"):
            row = replace(row, body=row.body | {"element": {"key": default_element}})
        yield row
    if is_empty:
        raise InputError("There is no instance in it.")


def file_error(errors: list[str], count: int) -> InputError:
    """The first of all errors of a file, and how many more there are."""
    more = count - len(errors)
    return InputError("\n".join([*errors, *([f"{more} more rows are wrong."] if more else [])]))


def _parse(stream: BinaryIO) -> Iterator[FileRow]:
    chunks = chunks_of(stream)
    head = next(chunks)
    whole = chain([head], chunks)
    match head.lstrip()[:1]:
        case b"":
            raise InputError("Line 1, column 1: this is not JSON, nor the header of a CSV file.")
        case b"[":
            return read_json_list(whole)
        case b"{":
            return read_json_objects(whole)
    return read_csv(whole)
