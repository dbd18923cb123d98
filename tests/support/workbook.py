"""Excel workbooks, written by hand so that a test says what is in them."""

import io
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# Cell formats: general, then a date, a number with leading zeros, and a percentage.
GENERAL, DATE, PADDED, PERCENT = range(4)

type Cell = str | float | tuple[float, int] | None


def make_workbook(
    rows: Sequence[Sequence[Cell]],
    *,
    first_row: int = 1,
    first_column: int = 1,
    hidden_before: bool = False,
    others: int = 0,
) -> bytes:
    """Write a workbook. A cell is a text, a number, a number with its format, or empty.

    hidden_before: with a hidden sheet first. others: more visible sheets.
    """
    lines = [
        _row(number, first_column, cells) for number, cells in enumerate(rows, start=first_row)
    ]
    names = [*(["Hidden"] if hidden_before else []), "Accounts", *map(str, range(others))]
    sheets = dict.fromkeys(names, "") | {"Accounts": "".join(lines)}
    entries = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"'
        f"{' state="hidden"' if name == 'Hidden' else ''}/>"
        for number, name in enumerate(sheets, start=1)
    )
    links = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, len(sheets) + 1)
    )
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        for number in range(1, len(sheets) + 1)
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{entries}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{links}'
        f'<Relationship Id="rs" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" '
        'formatCode="00000"/></numFmts><cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="14"/>'
        '<xf numFmtId="164"/><xf numFmtId="9"/></cellXfs></styleSheet>',
    }
    for number, data in enumerate(sheets.values(), start=1):
        files[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{data}</sheetData></worksheet>'
        )
    return make_zip(files)


def make_zip(files: dict[str, str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def _row(number: int, first_column: int, cells: Sequence[Cell]) -> str:
    written = [
        _cell(f"{_letters(column)}{number}", cell)
        for column, cell in enumerate(cells, start=first_column)
        if cell is not None
    ]
    return f'<row r="{number}">{"".join(written)}</row>'


def _cell(reference: str, cell: Cell) -> str:
    if isinstance(cell, str):
        text = quoteattr(cell, {"\n": "&#10;"})[1:-1].replace("&quot;", '"')
        return f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    value, style = cell if isinstance(cell, tuple) else (cell, GENERAL)
    return f'<c r="{reference}" s="{style}"><v>{value!r}</v></c>'


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters
