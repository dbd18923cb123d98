"""Read the rows of a table, from a CSV file or a workbook.

Columns: name, element, tags, and one per configuration key. The header may follow a title and blank lines.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, islice
from typing import Any

from instances.bulk.files.lines import FileRow
from instances.errors import InputError
from instances.pasted import trimmed

OWN_COLUMNS = ("name", "element", "tags")
TAG_SEPARATOR = ";"
MAX_COLUMNS = 1_000
MAX_COLUMN_CHARACTERS = 200
# The header is among the first records that are not blank.
HEADER_WITHIN = 20


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a table.

    number: its line, or its row in a sheet. problems: why a cell cannot be read, by its position. error: why the whole
    record cannot be.
    """

    number: int
    cells: Sequence[str] = field(repr=False)
    problems: Mapping[int, str] = field(default_factory=dict)
    error: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.error and not self.problems and not any(map(str.strip, self.cells))

    @property
    def values(self) -> int:
        """The number of cells that are not blank."""
        return sum(1 for cell in self.cells if cell.strip())


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, and the line that they are in."""

    number: int
    names: Sequence[str]


def read_table(
    records: Iterator[Record], *, place: str, on_note: Callable[[str], object]
) -> Iterator[FileRow]:
    """Yield the rows below the header.

    place: what the number of a record counts, such as "Line". on_note: is called with what the user should know.

    Raises InputError if the header is not usable, for example without a column "name".
    """
    head = list(islice((record for record in records if not record.is_blank), HEADER_WITHIN))
    header = find_header(head)
    if header is None:
        raise _no_header(head, place)
    above = [record for record in head if record.number < header.number]
    _check_header(header, above, place)
    if above:
        on_note(f"{place} {header.number} is the header. What is above it was skipped.")
    for own, near in _near_own_columns(header.names):
        on_note(
            f"{place} {header.number}: the column “{near}” is taken for a key. Did you mean “{own}”?"
        )
    for record in chain(head[len(above) + 1 :], records):
        if record.error:
            yield FileRow(record.number, {}, f"{place} {record.number}: {record.error}")
        elif not record.is_blank:
            yield _row(record, header, place)


def find_header(records: Iterable[Record]) -> Header | None:
    """Return the first record with a column "name"; None if there is none."""
    for record in records:
        names = [_column_name(cell) for cell in record.cells]
        if "name" in names:
            return Header(record.number, names)
    return None


def bare(text: str) -> str:
    """Remove invisible characters, such as a zero-width space that was copied from a web page."""
    if text.isascii():
        return text
    return "".join(char for char in text if unicodedata.category(char) != "Cf")


def _column_name(cell: str) -> str:
    name = " ".join(bare(cell).split())
    return name.lower() if name.lower() in OWN_COLUMNS else name


def _no_header(head: Sequence[Record], place: str) -> InputError:
    """Say that there is no header.

    The first lines are not quoted: without a header, they may hold secrets.
    """
    first = head[0].number if head else 1
    near = ""
    for cell in head[0].cells[:MAX_COLUMNS] if head else ():
        if get_close_matches(_column_name(cell).lower(), ["name"], cutoff=0.7):
            near = f" Did you mean “{_column_name(cell)}”? Rename it to “name”."
            break
    return InputError(
        f'{place} {first}: the column "name" is missing.{near} The first line of a table must name the columns: name, '
        "element, tags and configuration keys. Run `manage.py bulk_template KEY` for an example, or upload JSON."
    )


def _check_header(header: Header, above: Sequence[Record], place: str) -> None:
    where = f"{place} {header.number}"
    if len(header.names) > MAX_COLUMNS:
        raise InputError(
            f"{where}: the header has {len(header.names):,} columns. The limit is {MAX_COLUMNS:,}."
        )
    for name in header.names:
        if not name.isprintable() or len(name) > MAX_COLUMN_CHARACTERS:
            raise InputError(
                f"{where}: a column name has control characters, or more than {MAX_COLUMN_CHARACTERS} characters."
            )
    if twice := _duplicates(header.names):
        raise InputError(f"{where}: duplicate columns: {', '.join(twice)}.")
    # A title has fewer cells than the header. What has as many is data, as when the header was sorted with the rows.
    most = max(1, sum(1 for name in header.names if name) // 2)
    for record in above:
        if record.values > most:
            raise InputError(
                f"{place} {record.number} has values, but is above the header in {place.lower()} {header.number}. "
                "Move the header to the top."
            )


def _near_own_columns(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each own column that is missing, with one that is spelled nearly so."""
    for own in OWN_COLUMNS:
        near = () if own in names else get_close_matches(own, filter(None, names), n=1, cutoff=0.75)
        yield from ((own, name) for name in near)


def _duplicates(names: Sequence[str]) -> list[str]:
    """Return the names that occur twice; case does not matter."""
    seen: set[str] = set()
    twice: set[str] = set()
    for name in filter(None, names):
        (twice if name.lower() in seen else seen).add(name.lower())
    return sorted(name for name in set(names) if name.lower() in twice)


def _row(record: Record, header: Header, place: str) -> FileRow:
    where = f"{place} {record.number}"
    values: dict[str, str] = {}
    for position, cell in enumerate(record.cells):
        name = header.names[position] if position < len(header.names) else ""
        if problem := record.problems.get(position):
            return FileRow(record.number, {}, f"{where}, column {name or position + 1}: {problem}")
        if not name and trimmed(cell):
            why = f"column {position + 1} has a value, but no name in {place.lower()} {header.number}."
            return FileRow(record.number, {}, f"{where}: {why}")
        if name and cell:
            values[name] = cell
    return FileRow(record.number, _body(values))


def _body(values: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "configuration": {k: v for k, v in values.items() if k not in OWN_COLUMNS}
    }
    if name := trimmed(values.get("name", "")):
        body["name"] = name
    if key := trimmed(values.get("element", "")):
        body["element"] = {"key": key}
    if tags := [
        name for tag in values.get("tags", "").split(TAG_SEPARATOR) if (name := trimmed(tag))
    ]:
        body["tags"] = tags
    return body
