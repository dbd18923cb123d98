"""Read and write CSV files of instances (RFC 4180).

Columns: name, element, tags, and one per configuration key.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from instances.bulk.lines import FileRow, lines_of
from instances.errors import InputError
from instances.models import Element

OWN_COLUMNS = ("name", "element", "tags")
TAG_SEPARATOR = ";"
# If several split the header into equally many columns, the first one wins.
_DELIMITERS = ",;\t"
_NOT_IN_TEMPLATE = {"oauth.callback.url"}


def read_csv(chunks: Iterator[bytes]) -> Iterator[FileRow]:
    """Yield the rows, one in memory at a time.

    The header decides the delimiter: comma, semicolon or tab.

    Raises InputError if the header is not usable, for example without a column "name".
    """
    # Invalid UTF-8 is reported later, with its line and column.
    lines = (line.decode(errors="surrogateescape") for line in lines_of(chunks))
    first = next(lines)
    delimiter = max(_DELIMITERS, key=lambda delimiter: len(_cells(first, delimiter)))
    header = _read_header(_cells(first, delimiter))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileRow(number, {}, f"Line {number}: invalid CSV ({error}).")
            continue
        if any(cell.strip() for cell in cells):
            yield _row(number, header, cells)


def csv_template(element: Element) -> str:
    """Write the header for an element, and an example row without secrets."""
    way = element.parsed.authentication_type()
    keys = [key for key in way.fields if key.key not in _NOT_IN_TEMPLATE]
    example = ["Example", element.key, "first tag;second tag"]
    example += [
        "" if element.parsed.is_secret(key.key) else key.default or next(iter(key.options), "")
        for key in keys
    ]
    written = io.StringIO()
    csv.writer(written).writerows([[*OWN_COLUMNS, *(key.key for key in keys)], example])
    return written.getvalue()


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _read_header(cells: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    header = [name.lower() if name.lower() in OWN_COLUMNS else name for name in header]
    if "name" not in header:
        # Line 1 is not quoted: if the header is missing, it may hold secrets.
        raise InputError(
            'Line 1: the column "name" is missing. The first line of a CSV file must name the columns: name, element, '
            "tags and configuration keys. Run `manage.py bulk_template KEY` for an example, or upload JSON."
        )
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise InputError(f"Line 1: duplicate columns: {', '.join(twice)}.")
    if any(not name.isprintable() for name in header):
        raise InputError("Line 1: the column names are not valid UTF-8.")
    return header


def _row(number: int, header: Sequence[str], cells: Sequence[str]) -> FileRow:
    values: dict[str, str] = {}
    for position, cell in enumerate(cells):
        name = header[position] if position < len(header) else ""
        if cell and not name:
            why = f"column {position + 1} has a value, but no name in line 1."
            return FileRow(number, {}, f"Line {number}: {why}")
        if not _is_text(cell):
            why = f"column {name}: the text is not valid UTF-8."
            return FileRow(number, {}, f"Line {number}, {why}")
        if cell:
            values[name] = cell
    return FileRow(number, _body(values))


def _body(values: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "configuration": {k: v for k, v in values.items() if k not in OWN_COLUMNS}
    }
    if name := values.get("name"):
        body["name"] = name
    if key := values.get("element", "").strip():
        body["element"] = {"key": key}
    if tags := [tag for tag in values.get("tags", "").split(TAG_SEPARATOR) if tag.strip()]:
        body["tags"] = tags
    return body


def _is_text(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True
