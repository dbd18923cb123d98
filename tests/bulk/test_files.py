"""Files of instances: every format, and every mistake reported with its position."""

import codecs
import io
import json
import tracemalloc

import pytest

from instances.bulk.files import lines
from instances.bulk.files.csv_files import csv_template
from instances.bulk.files.formats import read_rows
from instances.errors import InputError

CSV = 'name,element,tags,site,api.key\nOne,keyed,a;b,acme,secret-1\n"Two, Inc.",keyed,,beta,secret-2\n'


def read(content, **options):
    return list(read_rows(io.BytesIO(content), **options))


def errors(content):
    return [row.error for row in read(content)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "mac"])
def test_a_csv_file_is_read_whatever_separates_its_columns(delimiter, mark, end):
    lines = [
        ["name", "element", "tags", "site", "api.key"],
        ["One", "keyed", '"a;b"', "acme", "secret-1"],
        ['"Two; ""Inc."", really\tyes"', "", "", "", "é"],
    ]
    text = end.join(delimiter.join(line) for line in lines) + end
    first, second = read(mark + text.encode())
    assert (first.number, first.error) == (2, "")
    assert first.body == {
        "name": "One",
        "element": {"key": "keyed"},
        "tags": ["a", "b"],
        "configuration": {"site": "acme", "api.key": "secret-1"},
    }
    assert second.body == {
        "name": 'Two; "Inc.", really\tyes',
        "configuration": {"api.key": "é"},
    }


def test_a_cell_over_several_lines_does_not_confuse_the_numbers():
    content = b'name,note\nOne,"a\nb"\n\nTwo,c\nThree,d,e\n'
    rows = read(content)
    assert [row.number for row in rows] == [2, 5, 6]
    assert rows[0].body["configuration"] == {"note": "a\nb"}
    assert rows[2].error == "Line 6: column 3 has a value, but no name in line 1."


def test_every_wrong_line_of_a_csv_file_is_told_with_its_column():
    content = b'name,site,\nTwo,b,c\nThree,"d"x,\nFour,d,\nFive\n'
    told = errors(content)
    assert told[0] == "Line 2: column 3 has a value, but no name in line 1."
    assert told[1].startswith("Line 3: invalid CSV")
    assert told[2:] == ["", ""]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\n", "expected JSON or the header of a CSV file"),
        (b"ada@example.com;hunter2\n", 'the column "name" is missing'),
        (b"name,site,site\na,b,c\n", "duplicate columns: site"),
        (b"name,\xff\na,b\n", "Line 1: the text is not valid UTF-8"),
        (b"name,\x01\na,b\n", "a column name has control characters"),
        (b"name," + b"x" * 201 + b"\na,b\n", "or more than 200 characters"),
        (b"name,site\n,\n", "The file contains no instances"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(content, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        read(content)
    assert "hunter2" not in str(refused.value)


def test_a_column_that_is_nearly_one_of_ours_is_noted():
    notes: list[str] = []
    list(read_rows(io.BytesIO(b"name,elements,tag\na,keyed,b\n"), on_note=notes.append))
    assert [note.partition(" is taken for a key. ")[2] for note in notes] == [
        "Did you mean “element”?",
        "Did you mean “tags”?",
    ]


def test_a_json_list_and_json_lines_give_the_same_bodies():
    bodies = [{"name": f"Number {number}", "tags": ["[", "}"]} for number in range(3000)]
    as_list = json.dumps(bodies, indent=1).encode()
    as_lines = "\n".join(json.dumps(body) for body in bodies).encode()
    assert [row.body for row in read(as_list)] == bodies
    assert [row.body for row in read(as_lines)] == bodies
    assert [row.number for row in read(as_list)][-1] == 3000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        "name,note\nAda,é 😀\nBob,\n",
        '[{"name": "Ada", "configuration": {"note": "é 😀"}}, {"name": "Bob"}]',
        '{"name": "Ada", "configuration": {"note": "é 😀"}}\n{"name": "Bob"}\n',
        ' { "instances" : [{"name": "Ada", "configuration": {"note": "é 😀"}}, {"name": "Bob"}] } ',
    ],
    ids=["csv", "list", "lines", "wrapped list"],
)
def test_every_format_is_read_in_utf_8_and_utf_16(encoding, text, monkeypatch):
    # A character may be split between two chunks.
    monkeypatch.setattr(lines, "CHUNK_BYTES", 61)
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    rows = read(mark + text.encode(encoding))
    assert [row.body["name"] for row in rows] == ["Ada", "Bob"]
    assert rows[0].body["configuration"] == {"note": "é 😀"}


def test_an_object_that_merely_starts_with_a_list_is_one_body():
    [row] = read(b'{"tags": ["instances"],\n "name": "Ada"}')
    assert (row.body["name"], row.error) == ("Ada", "")


def test_wrong_rows_do_not_hide_the_ones_behind_them():
    assert errors(b'{"name": 5}\n{"name": }\n{"name": NaN}\n{"name": "a"}\n') == [
        "Line 1: The body has invalid fields: name: Input should be a valid string.",
        "Line 2, column 10: invalid JSON (Expecting value).",
        "Line 3: NaN is not JSON.",
        "",
    ]
    assert [bool(error) for error in errors(b'[{"name": "a"}, 2, {"tags": 3}, {}]')] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'[\n {"name": "a"},\n {"name" "b"}]', "Line 3, column 10: invalid JSON"),
        (b'[{"name": "a"}\n {"name": "b"}]', "Line 2, column 2: invalid JSON"),
        (b'[{"name": "a"}] x', "Line 1, column 17: invalid JSON .Extra data"),
        (b'[{"name": "a"},\n', "invalid JSON"),
        (
            b'{"instances": [{"name": "a"}], "total": 1}',
            "Line 1, column 30: invalid JSON .Expecting '}'",
        ),
        (b'{"instances": [{"name": "a"}]', "Expecting '}'"),
        ("[é]".encode("utf-16") + b"x", "The text is not valid UTF-16"),
        (b"\xff\xfe", "Line 1, column 1: expected JSON"),
        (b'[{"name": "a"},\n\n"\xff"]', "Line 3: the text is not valid UTF-8"),
        (b'[{"name": "' + b"x" * 5_000_000, "invalid JSON"),
        (b'{"name": "a"}\n{"name": "' + b"x" * 5_000_000, "Line 2 is too long"),
        (b'{"name": "a"}\n{"name": "\xff"}\n', "Line 2: the text is not valid UTF-8"),
        (b"name,site\na,b\nc,\xff\n", "Line 3: the text is not valid UTF-8"),
    ],
    ids=range(13),
)
def test_a_file_that_cannot_be_read_on_says_where(content, sentence):
    with pytest.raises(InputError, match=sentence):
        read(content)


def test_a_key_that_cannot_be_stored_is_told_without_its_wrong_characters():
    with pytest.raises(InputError, match=r"a list in “\?”") as refused:
        read(b'{"\\ud800": [{"name": "a"}]}')
    assert str(refused.value).encode()


def test_a_default_element_serves_rows_that_name_none():
    rows = read(b"name,element\na,\nb,other\n", default_element="keyed")
    assert [row.body["element"]["key"] for row in rows] == ["keyed", "other"]


@pytest.mark.parametrize(
    ("head", "line", "tail"),
    [
        (b"name,site\n", b"x," + b"y" * 100 + b"\n", b""),
        (b"", b'{"name": "' + b"x" * 100 + b'"}\n', b""),
        (b"[", b'{"name": "' + b"x" * 100 + b'"},\n', b'{"name": "x"}]'),
    ],
    ids=["csv", "json lines", "json list"],
)
def test_memory_does_not_grow_with_the_rows(head, line, tail):
    def peak_bytes(rows):
        stream = io.BytesIO(head + line * rows + tail)
        tracemalloc.start()
        for _ in read_rows(stream):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak_bytes(10_000) < peak_bytes(2_000) + 200_000


def test_a_template_can_be_filled_in_and_read_again(dynamics):
    template = csv_template(dynamics)
    (row,) = read(template.encode())
    assert row.body["element"] == {"key": "dynamicscrmadfs"}
    assert row.body["tags"] == ["first tag", "second tag"]
    assert "user.password" in template.splitlines()[0]
