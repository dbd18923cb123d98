"""Files as people have them: each case is what a program wrote, with what the command makes of it.

The files are in tests/cases/files/, their elements in tests/cases/elements/.
"""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from instances.models import BulkJob, Instance
from tests.support.workbook import DATE, make_workbook

FILES = Path(__file__).parent / "files"
TWO = ["Acme GmbH", "Müller & Söhne"]

# Slow: long tables. make test has examples of them elsewhere.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def provision(connect, tmp_path, capsys):
    """Return a function that runs the command on a file, or on this text, and returns its exit status and output."""

    def run(file, *options):
        path = FILES / file if isinstance(file, str) else tmp_path / "accounts.csv"
        if isinstance(file, bytes):
            path.write_bytes(file)
        try:
            call_command("provision_instances", path, "--user", "ada@example.com", *options)
        except CommandError as error:
            return error.returncode, capsys.readouterr().out + str(error)
        captured = capsys.readouterr()
        return 0, captured.out + captured.err

    return run


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("100-utf16-excel-unicode-text.csv", TWO),
        ("102-mac-cr.csv", TWO),
        ("103-sep-line.csv", TWO),
        ("106-leading-blank-line.csv", TWO),
        ("107-nbsp-zwsp-header.csv", ["Acme"]),
        ("113-case-of-keys.csv", ["Acme"]),
        ("114-trailing-space-in-cells.csv", ["Acme"]),
        ("123-json-wrapper.json", ["Acme"]),
    ],
)
def test_a_file_is_read_as_it_was_meant(provision, stub, case, names):
    status, out = provision(case, "--dry-run")
    assert (status, f"{len(names)} of {len(names)} rows are ready" in out) == (0, True), out
    status, out = provision(case)
    assert status == 0, out
    assert sorted(Instance.objects.values_list("name", flat=True)) == names
    keys = {instance.full_configuration()["api.key"] for instance in Instance.objects.all()}
    assert keys <= {"key-0001", "key-0002", "k"}
    assert len(stub.requests_to("api")) == len(names)


@pytest.mark.parametrize(
    ("case", "status", "sentences"),
    [
        (
            "105-quoted-newline-in-header.csv",
            1,
            [
                "Missing required configuration: api.key.",
                "no key “api.key (secret)”. Did you mean “api.key”?",
            ],
        ),
        ("118-xlsx.csv", 2, ["workbook"]),
    ],
)
def test_a_file_that_is_not_accepted_is_told_what_it_is(provision, case, status, sentences):
    for options in (["--dry-run"], []):
        ended, out = provision(case, *options)
        assert ended == status
        for sentence in sentences:
            assert sentence in out
    assert not Instance.objects.exists()


HEAD = b"name,element,stub.case,api.key\n"


@pytest.mark.parametrize(
    "content",
    [
        b"Accounts of 2026\n\n" + HEAD + b"Acme,stub-key,70-good,key-1\n",
        b"Accounts of 2026,,,\n" + HEAD + b"Acme,stub-key,70-good,key-1\n",
        b"name|element|stub.case|api.key\nAcme|stub-key|70-good|key-1\n",
        b"name\telement\tstub.case\tapi.key\r\nAcme\tstub-key\t70-good\tkey-1\r\n",
        b"SEP=|\rname|element|stub.case|api.key\rAcme|stub-key|70-good|key-1",
        b'"sep=,"\r\n' + HEAD + b"Acme,stub-key,70-good,key-1\n",
        "\ufeffName,Element,\u00a0stub.case\u00a0,api\u00ad.key\nAcme\u200b,\u00a0stub-key,70-good,\ufeffkey-1\u00a0\n".encode(),
        HEAD + b',,,\n"Acme","stub-key","70-good","key-1\n"\n',
        HEAD.replace(b",api.key", b",comment,api.key") + b"Acme,stub-key,70-good,,key-1,,,\n",
        ("\n" + HEAD.decode() + "Acme,stub-key,70-good,key-1\n").encode("utf-16-le"),
        "name;element;stub.case;api.key\nAcme;stub-key;70-good;key-1\n".encode("utf-32"),
        json.dumps(
            {
                "data": [
                    {
                        "name": "Acme",
                        "element": {"key": "stub-key"},
                        "configuration": {"STUB.case": "70-good", "api.key": "key-1\n"},
                    }
                ]
            }
        ).encode("utf-16"),
    ],
    ids=range(12),
)
def test_what_programs_add_around_the_values_does_not_matter(provision, content):
    status, out = provision(content)
    assert status == 0, out
    instance = Instance.objects.get()
    assert (instance.name, instance.full_configuration()["api.key"]) == ("Acme", "key-1")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04" + b"\0" * 40, "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 40, "old format (.xls), or one that is protected"),
        (b"\n<!DOCTYPE html><table><tr><td>name", "The file is HTML or XML."),
        (b"\x1f\x8b\x08\x00", "The file is compressed (gzip)."),
        (b"%PDF-1.7 name", "The file is a PDF."),
        (b"name\x00\x01\x02\x03,a\n", "The file is not text."),
        (HEAD + "Müller,stub-key,70-good,key-1\n".encode("cp1252"), "Line 2: the text is not valid UTF-8. Save"),
        (HEAD + b'Acme,"stub-key,70-good,key-1\nTwo,stub-key,70-good,key-2\n', "Line 2: a quotation mark is never closed"),
        (HEAD + b'Acme,stub-key,70-good,"' + b"key-1\n" * 30_000, "Line 2: a quotation mark is never closed"),
        (b"Names,element,stub.case,api.key\na,b,c,d\n", "Did you mean “Names”? Rename it"),
        (b"name,element,API.Key,api.key\na,b,c,d\n", "Line 1: duplicate columns: API.Key, api.key."),
        (b"a,stub-key,70-good,key-1\n" + HEAD, "Line 1 has values, but is above the header in line 2."),
        (b"name," + b",".join(b"c%d" % n for n in range(40_000)) + b"\n", "Line 1: the header has 40,001 columns. The limit is 1,000."),
        (HEAD + b"Acme,stub-key,70-good,key-1,more\n", "Line 2: column 5 has a value, but no name in line 1."),
        (b'{"meta": {}, "list": [{"name": "a"}]}', "The file is one object with a list in “list”."),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(provision, content, sentence):
    status, out = provision(content)
    assert status == 2
    assert sentence in out
    assert "key-1" not in out
    assert not BulkJob.objects.exists()


def test_a_workbook_is_provisioned(provision):
    head = ["Name", "element", "stub.case", "api.key"]
    content = make_workbook([["Accounts"], head, ["Acme", "stub-key", "70-good", 12345.0]])
    assert provision(content, "--dry-run")[0] == 0
    assert provision(content)[0] == 0
    instance = Instance.objects.get()
    assert (instance.name, instance.full_configuration()["api.key"]) == ("Acme", "12345")
    content = make_workbook([head, ["Acme", "stub-key", "70-good", (12345.0, DATE)]])
    status, out = provision(content)
    assert (status, "Row 2, column api.key: the cell holds a date" in out) == (2, True)


def test_windows_1252_is_read_if_it_is_named(provision):
    content = HEAD + "Müller €,stub-key,70-good,key-1\n".encode("cp1252")
    assert provision(content, "--encoding", "windows-1252")[0] == 0
    instance = Instance.objects.get()
    assert (instance.name, instance.full_configuration()["api.key"]) == ("Müller €", "key-1")


@pytest.mark.parametrize("options", [["--dry-run"], []])
def test_an_unknown_column_is_named_with_what_was_probably_meant(provision, options):
    head = "name,element,stub.case,Key,event.poler.refresh.interval,note\n"
    status, out = provision((head + "Acme,stub-key,70-good,key-1,5,x\n").encode(), *options)
    assert status == 1
    assert "Missing required configuration: api.key. stub-key has no key “Key”." in out
    assert "Did you mean “api.key”?" in out
    head = "name,element,stub.case,api.key,stub-cases,note\n"
    status, out = provision((head + "Acme,stub-key,70-good,key-1,5,x\n").encode(), *options)
    assert status == 0
    assert "stub-key has no key “stub-cases”. Did you mean “stub.case”? Its values are kept" in out
    assert "stub-key has no key “note”. Its values are kept as they are." in out


def test_an_invisible_character_inside_a_key_is_refused_with_the_fields_name(provision):
    content = HEAD + "Acme,stub-key,70-good,key\u200b-1\n".encode()
    for options in (["--dry-run"], []):
        status, out = provision(content, *options)
        assert status == 1
        assert "Invalid configuration: api.key: contains an invisible character (U+200B)." in out


def test_the_rows_of_a_file_are_limited(provision, monkeypatch):
    monkeypatch.setattr("instances.bulk.files.formats.MAX_ROWS", 2)
    status, out = provision(HEAD + b"a,stub-key,70-good,k\n" * 3)
    assert (status, "The file has more than 2 rows. Split it." in out) == (2, True)


def test_standard_input_is_read_the_same_way(connect, monkeypatch, capsys):
    content = (FILES / "103-sep-line.csv").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    call_command("provision_instances", "-", "--user", "ada@example.com", "--dry-run")
    assert "2 of 2 rows are ready" in capsys.readouterr().out
