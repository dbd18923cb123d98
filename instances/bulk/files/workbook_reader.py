"""Read an Excel workbook (.xlsx): a program of its own, since a hostile workbook can abort the process that reads it.

usage: python -I workbook_reader.py rows MAX_ROWS MAX_COLUMNS < WORKBOOK, or python -I workbook_reader.py check < WORKBOOK

`rows` prints JSON Lines: {"sheet": name, "others": count}, then [row number, [texts], {position: problem}]. `check` prints
nothing. Exit status 3: refused, with a sentence on standard error; 4: out of memory. It uses nothing of
this project, and gets no environment: no secret but the workbook's is in its memory.
"""

import json
import re
import resource
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NoReturn
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

REFUSED = 3
OUT_OF_MEMORY = 4
MEMORY_BYTES = 1 << 30
CPU_SECONDS = 45
# The longest text of a cell in Excel.
MAX_CELL_CHARACTERS = 32_767
# Excel keeps 15 digits of a number.
FIRST_INEXACT = 10**15
AS_TEXT = "Format the column as text, and enter the values again."
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
# Number formats that show other digits than those of the value: leading zeros, separators, percent.
_ALTERING_FORMAT = re.compile(r'^[^.]*?(?<![#,.0?])0{2,}|[%/"\\-]')


def main(mode: str, max_rows: int = 0, max_columns: int = 0) -> None:
    limit_resources()
    content = sys.stdin.buffer.read()
    archive = open_archive(content)
    if mode == "rows":
        print_rows(archive, content, max_rows, max_columns)


def limit_resources() -> None:
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def open_archive(content: bytes) -> ZipFile:
    try:
        archive = ZipFile(BytesIO(content))
    except (BadZipFile, ValueError, OSError):
        refuse("The workbook is damaged: it is not a complete zip archive. Save it again.")
    names = set(archive.namelist())
    if "xl/workbook.xml" in names:
        return archive
    if "content.xml" in names:
        refuse("The file is an OpenDocument spreadsheet (.ods). Save it as .xlsx or CSV (UTF-8).")
    if "xl/workbook.bin" in names:
        refuse("The file is a binary workbook (.xlsb). Save it as .xlsx or CSV (UTF-8).")
    refuse("The file is a zip archive, but not an Excel workbook. Save it as .xlsx or CSV (UTF-8).")


def print_rows(archive: ZipFile, content: bytes, max_rows: int, max_columns: int) -> None:
    import python_calamine as calamine

    try:
        book = calamine.CalamineWorkbook.from_filelike(BytesIO(content))
        names = [
            sheet.name
            for sheet in book.sheets_metadata
            if sheet.visible == calamine.SheetVisibleEnum.Visible
            and sheet.typ == calamine.SheetTypeEnum.WorkSheet
        ]
        if not names:
            refuse("The workbook has no visible sheet.")
        sheet = book.get_sheet_by_name(names[0])
    except calamine.PasswordError:
        refuse("The workbook is protected by a password. Save it without one.")
    except calamine.CalamineError as error:
        refuse(
            f"The workbook cannot be read ({str(error)[:200]}). Save it again, or as CSV (UTF-8)."
        )
    if sheet.height > max_rows or sheet.width > max_columns:
        refuse(
            f"The sheet “{names[0]}” has {sheet.height:,} rows and {sheet.width:,} columns. "
            f"The limit is {max_rows:,} rows and {max_columns:,} columns."
        )
    put({"sheet": names[0], "others": len(names) - 1})
    # Rows are given from the first of the sheet, columns from the first with a value.
    _, first_column = sheet.start or (0, 0)
    altered = set(altered_cells(archive, names[0]))
    for number, row in enumerate(sheet.iter_rows(), start=1):
        texts, problems = [], {}
        for position, value in enumerate(row):
            text, problem = text_of(value)
            if altered and text and (number, first_column + position + 1) in altered:
                problem = f"the number is shown in another form than it is stored. {AS_TEXT}"
            texts.append(text)
            if problem:
                problems[position] = problem
        put([number, texts, problems])


def text_of(value: Any) -> tuple[str, str]:
    """Return a cell as text, and why that text may not be what was entered; empty if it is."""
    if isinstance(value, str):
        if len(value) > MAX_CELL_CHARACTERS:
            return "", f"the text has more than {MAX_CELL_CHARACTERS:,} characters."
        return value, ""
    if isinstance(value, bool):
        return str(value).lower(), ""
    if isinstance(value, int | float):
        if abs(value) >= FIRST_INEXACT:
            return (
                "?",
                f"the number has more than 15 digits, of which Excel keeps no more. {AS_TEXT}",
            )
        return str(int(value)) if value == int(value) else format(value, ".15g"), ""
    return "?", f"the cell holds a date or a time, not a text. {AS_TEXT}"


def altered_cells(archive: ZipFile, sheet: str) -> Iterator[tuple[int, int]]:
    """Yield row and column of numbers whose format shows other digits, such as 00123 for 123."""
    styles = altering_styles(archive)
    path = sheet_path(archive, sheet) if styles else ""
    if not path:
        return
    row = column = 0
    with archive.open(path) as xml:
        for event, element in ElementTree.iterparse(xml, events=("start", "end")):
            if event == "start" and element.tag == f"{_MAIN}row":
                row, column = int(element.get("r") or row + 1), 0
            elif event == "start" and element.tag == f"{_MAIN}c":
                column = column_of(element.get("r") or "") or column + 1
                if element.get("s") in styles and element.get("t", "n") == "n":
                    yield row, column
            elif event == "end" and element.tag == f"{_MAIN}row":
                element.clear()


def altering_styles(archive: ZipFile) -> set[str]:
    """Return the indexes of the cell formats whose number format shows other digits."""
    if "xl/styles.xml" not in archive.namelist():
        return set()
    root = ElementTree.fromstring(archive.read("xl/styles.xml"))
    formats = {
        one.get("numFmtId"): one.get("formatCode") or "" for one in root.iter(f"{_MAIN}numFmt")
    }
    altering = {key for key, code in formats.items() if _ALTERING_FORMAT.search(code)} | {"9", "10"}
    cell_formats = root.find(f"{_MAIN}cellXfs")
    styles = enumerate(cell_formats if cell_formats is not None else ())
    return {str(index) for index, style in styles if style.get("numFmtId") in altering}


def sheet_path(archive: ZipFile, name: str) -> str:
    """Return the path of a sheet's XML; empty if it is not found."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    [link, *_] = [
        one.get(_LINK) for one in book.iter(f"{_MAIN}sheet") if one.get("name") == name
    ] or [None]
    for one in links:
        if one.get("Id") == link:
            target = (one.get("Target") or "").lstrip("/")
            return target if target.startswith("xl/") else f"xl/{target}"
    return ""


def column_of(reference: str) -> int:
    """Return the number of a column, such as 28 for AB12; 0 for no reference."""
    number = 0
    for letter in reference.rstrip("0123456789"):
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def put(line: Any) -> None:
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")


def refuse(sentence: str) -> NoReturn:
    sys.stderr.buffer.write(sentence.encode())
    sys.stderr.flush()
    sys.exit(REFUSED)


if __name__ == "__main__":
    try:
        main(sys.argv[1], *map(int, sys.argv[2:]))
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
