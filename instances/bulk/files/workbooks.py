"""Read Excel workbooks (.xlsx) in a child process with limits (workbook_reader.py)."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from instances.bulk.files.lines import MAX_ROWS, FileRow
from instances.bulk.files.tables import MAX_COLUMNS, Record, read_table
from instances.bulk.files.workbook_reader import OUT_OF_MEMORY, REFUSED
from instances.errors import InputError

log = structlog.stdlib.get_logger(__name__)

SIGNATURE = b"PK\x03\x04"
MAX_WORKBOOK_BYTES = 64 * 1024 * 1024
_READER = Path(__file__).with_name("workbook_reader.py")
_DAMAGED = "The workbook is damaged, and could not be read. Save it again, or as CSV (UTF-8)."
_TOO_MUCH = (
    "The workbook could not be read: it needs too much memory or time. It may have a value far away from the others. "
    "Copy the rows to a new workbook, or save it as CSV (UTF-8)."
)


def read_workbook(
    chunks: Iterator[bytes], *, on_note: Callable[[str], object]
) -> Iterator[FileRow]:
    """Yield the rows of the first visible sheet.

    Raises InputError if the workbook cannot be read, is too large, or its header is not usable.
    """
    return read_table(_records(chunks, on_note), place="Row", on_note=on_note)


def check_workbook(chunks: Iterator[bytes]) -> None:
    """Raise InputError if a file is no workbook. Its sheets are not read."""
    with _reader(chunks, "check"):
        pass


def _records(chunks: Iterator[bytes], on_note: Callable[[str], object]) -> Iterator[Record]:
    with _reader(chunks, "rows", str(MAX_ROWS), str(MAX_COLUMNS)) as lines:
        for line in lines:
            read = json.loads(line)
            if isinstance(read, dict):
                _note_sheet(read, on_note)
                continue
            number, cells, problems = read
            yield Record(number, cells, {int(position): why for position, why in problems.items()})


def _note_sheet(sheet: dict[str, object], on_note: Callable[[str], object]) -> None:
    if sheet["others"]:
        on_note(f"The sheet “{sheet['sheet']}” was read. The other sheets were skipped.")


@contextmanager
def _reader(chunks: Iterator[bytes], *arguments: str) -> Iterator[Iterator[bytes]]:
    """Run the reader on a workbook, and yield the lines it prints. It is killed if they are not read to the end.

    Raises InputError if it refuses the workbook, or is killed by a limit.
    """
    command = [sys.executable, "-I", str(_READER), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env={}) as reader:  # noqa: S603
        try:
            _send(reader, chunks)
            assert reader.stdout is not None  # noqa: S101
            yield iter(reader.stdout)
            _require_success(reader)
        finally:
            reader.kill()


def _send(reader: "subprocess.Popen[bytes]", chunks: Iterator[bytes]) -> None:
    assert reader.stdin is not None  # noqa: S101
    sent = 0
    try:
        for chunk in chunks:
            sent += len(chunk)
            if sent > MAX_WORKBOOK_BYTES:
                raise InputError(
                    f"The workbook is larger than {MAX_WORKBOOK_BYTES // 1024 // 1024} MB. Split it."
                )
            reader.stdin.write(chunk)
        reader.stdin.close()
    except BrokenPipeError:
        # It has ended, and its exit status says why.
        pass


def _require_success(reader: "subprocess.Popen[bytes]") -> None:
    assert reader.stderr is not None  # noqa: S101
    said = reader.stderr.read().decode(errors="replace")
    status = reader.wait()
    if status == REFUSED:
        raise InputError(said)
    if status:
        log.warning("workbook reader failed", status=status)
        # A negative status is a signal: an abort, or the end of its processor time.
        is_too_much = status < 0 or status == OUT_OF_MEMORY
        raise InputError(_TOO_MUCH if is_too_much else _DAMAGED)
