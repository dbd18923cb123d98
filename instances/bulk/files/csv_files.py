"""Read and write CSV files of instances (RFC 4180)."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from instances.bulk.files.lines import FileRow, text_lines_of
from instances.bulk.files.tables import OWN_COLUMNS, Header, Record, find_header, read_table
from instances.errors import InputError
from instances.models import Element

# If several split the header into equally many columns, the first one wins.
_DELIMITERS = ",;\t|"
# The first line that Excel understands and writes to name the delimiter.
_SEPARATOR = re.compile(r'\s*"?sep=([^\w\s"]|\t)"?[\s,;|]*', re.IGNORECASE)
# The header and all above it are within these lines.
_HEAD_LINES = 100
# A longer one is a quotation mark that is never closed.
_MAX_CELL_CHARACTERS = 131_072
_NOT_IN_TEMPLATE = {"oauth.callback.url"}


def read_csv(chunks: Iterator[bytes], *, on_note: Callable[[str], object]) -> Iterator[FileRow]:
    """Yield the rows, one in memory at a time.

    The header decides the delimiter, unless the first line names it ("sep=;").

    Raises InputError if the header is not usable, or the file cannot be read any further.
    """
    lines = text_lines_of(chunks)
    head = list(islice(lines, _HEAD_LINES))
    delimiters, skipped = _DELIMITERS, 0
    if head and (separator := _SEPARATOR.fullmatch(head[0])):
        delimiters, skipped = separator[1], 1
    body = head[skipped:]
    delimiter = max(delimiters, key=lambda delimiter: _columns(_header_of(body, delimiter)))
    records = _records(chain(body, lines), delimiter, skipped=skipped)
    return read_table(records, place="Line", on_note=on_note)


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


def _header_of(lines: Sequence[str], delimiter: str) -> Header | None:
    try:
        return find_header(_records(iter(lines), delimiter, skipped=0))
    except InputError:
        # Under this delimiter, a quotation mark is never closed.
        return None


def _columns(header: Header | None) -> int:
    return len(header.names) if header else 0


def _records(lines: Iterator[str], delimiter: str, *, skipped: int) -> Iterator[Record]:
    """Yield the records, numbered by their first line. skipped: lines above the first one.

    Raises InputError for a quotation mark that is never closed: what follows would be swallowed without a word.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = skipped + reader.line_num + 1
        try:
            yield Record(number, next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error) or "field limit" in str(error):
                raise InputError(
                    f"Line {number}: a quotation mark is never closed, or a cell has more than "
                    f"{_MAX_CELL_CHARACTERS:,} characters."
                ) from None
            yield Record(number, (), error=f"invalid CSV ({error}).")
