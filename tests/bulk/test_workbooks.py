"""Excel workbooks: read in a child process, and never with other values than were entered."""

import io
import zipfile

import pytest

from instances.bulk import reading
from instances.bulk.files.formats import read_rows
from instances.bulk.reading import check_head
from instances.errors import InputError
from tests.support.workbook import DATE, PADDED, PERCENT, Cell, make_workbook, make_zip

HEAD: list[Cell] = ["name", "element", "site", "api.key"]


def read(content, notes=None, **options):
    on_note = (notes if notes is not None else []).append
    return list(read_rows(io.BytesIO(content), on_note=on_note, **options))


def test_the_first_visible_sheet_is_read_wherever_its_rows_begin():
    rows: list[list[Cell]] = [
        ["Accounts of 2026"],
        [],
        HEAD,
        ["Müller\u200b", "keyed", "a\nb", "s3cr3t"],
        [],
        ["Two", None, 5, "x"],
    ]
    content = make_workbook(rows, first_row=3, first_column=2, hidden_before=True, others=2)
    notes: list[str] = []
    first, second = read(content, notes)
    assert (first.number, first.error) == (6, "")
    assert first.body == {
        "name": "Müller",
        "element": {"key": "keyed"},
        "configuration": {"site": "a\nb", "api.key": "s3cr3t"},
    }
    assert second.body == {"name": "Two", "configuration": {"site": "5", "api.key": "x"}}
    assert notes == [
        "The sheet “Accounts” was read. The other sheets were skipped.",
        "Row 5 is the header. What is above it was skipped.",
    ]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (12345.0, "12345"),
        (0.1 + 0.2, "0.3"),
        (999_999_999_999_999.0, "999999999999999"),
        ("00123", "00123"),
        (-5, "-5"),
    ],
)
def test_a_number_is_read_as_it_is_shown(cell, text):
    [row] = read(make_workbook([HEAD, ["A", "keyed", "s", cell]]))
    assert (row.body["configuration"]["api.key"], row.error) == (text, "")


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ((46_000.0, DATE), "the cell holds a date or a time, not a text."),
        ((123.0, PADDED), "the number is shown in another form than it is stored."),
        ((0.5, PERCENT), "the number is shown in another form than it is stored."),
        (1_234_567_890_123_450.0, "the number has more than 15 digits"),
        ("x" * 32_768, "the text has more than 32,767 characters."),
    ],
    ids=["date", "leading zeros", "percent", "digits", "long"],
)
def test_a_value_that_would_be_changed_fails_its_row(cell, why):
    wrong, right = read(make_workbook([HEAD, ["A", "keyed", "s", cell], ["B", "keyed", "s", "k"]]))
    assert wrong.error.startswith(f"Row 2, column api.key: {why}")
    assert wrong.body == {}
    assert right.error == ""


def replaced(path, old, new):
    """A workbook in one of whose files this is replaced."""
    content = io.BytesIO(make_workbook([HEAD, ["A", "keyed", "s", "k"]]))
    with zipfile.ZipFile(content) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    return make_zip(files | {path: files[path].replace(old, new)})


def far_away():
    cell = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    return replaced("xl/worksheets/sheet1.xml", "</sheetData>", cell)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04" + b"\0" * 40, "The workbook is damaged"),
        (make_workbook([HEAD, ["A"]])[:-60], "The workbook is damaged"),
        (make_zip({"content.xml": "", "mimetype": ""}), "OpenDocument spreadsheet (.ods). Save it as .xlsx"),
        (make_zip({"word/document.xml": ""}), "a zip archive, but not an Excel workbook"),
        (make_zip({"xl/workbook.bin": ""}), "a binary workbook (.xlsb)"),
        (make_zip({"xl/workbook.xml": "<x"}), "The workbook cannot be read"),
        (replaced("xl/worksheets/sheet1.xml", "</worksheet>", "</wrong>"), "is damaged"),
        (far_away(), "it needs too much memory or time"),
        (make_workbook([["name", *[f"c{number}" for number in range(1_500)]]]), "1,501 columns. The limit is"),
        (make_workbook([[], []]), "column \"name\" is missing"),
    ],
    ids=range(10),
)  # fmt: skip
def test_a_workbook_that_cannot_be_read_is_refused_in_a_sentence(content, sentence):
    assert sentence in refusal_of(content)


@pytest.mark.slow
def test_a_workbook_that_unpacks_to_more_than_the_memory_is_refused():
    assert "it needs too much memory or time" in refusal_of(
        make_workbook([["x" * 1_000_000] * 600])
    )


def refusal_of(content):
    with pytest.raises(InputError) as refused:
        read(content)
    with pytest.raises(InputError):
        check_head(io.BytesIO(content), default_element="", encoding="")
    return str(refused.value)


def test_of_a_long_workbook_only_its_kind_is_checked_at_once(monkeypatch):
    monkeypatch.setattr(reading, "HEAD_WORKBOOK_BYTES", 10)
    how = {"default_element": "", "encoding": ""}
    check_head(io.BytesIO(make_workbook([["no header"]])), **how)
    with pytest.raises(InputError, match="not an Excel workbook"):
        check_head(io.BytesIO(make_zip({"word/document.xml": ""})), **how)


def test_a_workbook_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("instances.bulk.files.workbooks.MAX_WORKBOOK_BYTES", 100)
    with pytest.raises(InputError, match="The workbook is larger than 0 MB"):
        read(make_workbook([HEAD, ["A"]]))


def test_reading_is_stopped_in_the_middle():
    rows = read_rows(io.BytesIO(make_workbook([HEAD, *[["A", "keyed", "s" * 1_000, "k"]] * 5_000])))
    assert next(rows).body["name"] == "A"
    # A reader that is left running is a ResourceWarning, which fails the test.
    del rows
