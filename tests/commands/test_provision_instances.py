import io
import json

import pytest
from django.core.management import CommandError, call_command

from instances.models import BulkJob, BulkRow, Instance, Interaction
from tests.support.factories import CUSTOM_CONFIGURATION, make_organization_user

BODY = {
    "element": {"key": "dynamicscrmadfs"},
    "name": "CRM of Acme",
    "tags": ["acme", "crm"],
    "configuration": CUSTOM_CONFIGURATION,
}
WRONG_PASSWORD = BODY | {
    "name": "Locked",
    "configuration": CUSTOM_CONFIGURATION | {"user.password": "not-the-password"},
}
INCOMPLETE = BODY | {"name": "Incomplete", "configuration": {"authentication.type": "custom"}}


@pytest.fixture
def provision(tmp_path, capsys):
    """Return a function that runs the command on a file with this content.

    It returns exit status, standard output and errors.
    """

    def run(content, *options, user="demo@example.com"):
        path = tmp_path / "instances.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        capsys.readouterr()
        try:
            call_command("provision_instances", path, "--user", user, *options)
        except CommandError as error:
            return error.returncode, capsys.readouterr().out, str(error)
        return 0, capsys.readouterr().out, ""

    return run


def test_a_single_body_becomes_a_connected_instance_with_its_name_and_tags(sandbox, provision):
    status, out, _ = provision(BODY)
    instance = Instance.objects.get()
    assert (status, instance.state) == (0, Instance.State.CONNECTED)
    assert (instance.name, instance.tag_names) == ("CRM of Acme", ["acme", "crm"])
    assert out == "[1/1] CRM of Acme: connected\n1 of 1 provisioned.\n"


def test_one_failed_row_leaves_the_others_alone_and_sets_the_status(sandbox, provision):
    status, out, err = provision([BODY, WRONG_PASSWORD, INCOMPLETE])
    assert status == 1
    lines = [line.split(":")[0] for line in out.splitlines()]
    assert [line[:6] for line in lines] == ["[1/3] ", "[2/3] ", "[3/3] "]
    assert sorted(line[6:] for line in lines) == ["CRM of Acme", "Incomplete", "Locked"]
    assert "2 of 3 rows failed" in err
    assert Instance.objects.get(state=Instance.State.CONNECTED).name == "CRM of Acme"


def test_json_ends_with_one_object_and_never_a_token_or_a_secret(sandbox, provision):
    status, out, _ = provision([BODY, WRONG_PASSWORD, INCOMPLETE], "--json")
    printed = json.loads(out)
    connected, locked = Instance.objects.order_by("pk")
    assert status == 1
    assert (printed["total"], printed["succeeded"], printed["failed"]) == (3, 1, 2)
    assert printed["rows"][0] == {
        "name": "CRM of Acme",
        "state": "connected",
        "id": connected.pk,
        "error": "",
    }
    assert (printed["rows"][1]["state"], printed["rows"][1]["id"]) == ("failed", locked.pk)
    assert printed["rows"][2]["id"] is None
    assert "Missing required configuration: " in printed["rows"][2]["error"]
    for secret in (connected.token.reveal(), "sandbox-password", "not-the-password"):
        assert secret not in out


def test_json_lines_and_a_default_element(sandbox, provision):
    bodies = [
        {"name": name, "configuration": CUSTOM_CONFIGURATION} for name in ("One", "Two\u2028Three")
    ]
    content = "\n".join(json.dumps(body, ensure_ascii=False) for body in bodies) + "\n\n"
    status, _, err = provision(b"\xef\xbb\xbf" + content.encode(), "--element", "dynamicscrmadfs")
    assert (status, err) == (0, "")
    assert {one.element.key for one in Instance.objects.all()} == {"dynamicscrmadfs"}
    assert Instance.objects.count() == 2


def test_a_body_comes_from_standard_input(sandbox, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(BODY).encode())))
    call_command("provision_instances", "-", "--user", "demo@example.com")
    assert Instance.objects.get().is_connected


def test_a_dry_run_says_what_is_wrong_and_keeps_and_sends_nothing(sandbox, provision):
    status, out, err = provision([BODY, INCOMPLETE], "--dry-run")
    assert status == 1
    assert "[1/2] CRM of Acme: ready to provision" in out
    assert "[2/2] Incomplete: Missing required configuration: " in out
    assert "1 of 2 rows failed" in err
    assert not Instance.objects.exists()
    assert not BulkJob.objects.exists()
    assert not Interaction.objects.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "Line 1, column 1: expected JSON"),
        (b"[]", "The file contains no instances."),
        (b"[1, {}]", "Row 1: The body must be a JSON object."),
        (b'[{"name": "a"}, {"name": 5}]', "Row 2: The body has invalid fields: name"),
        (b'{"element": {}}', "must hold a key or an id"),
        (b'{"configuration": ["a"]}', "Row 1: The body has invalid fields: configuration"),
        (b'{"name": "a"}\n{"name": }\n', "Line 2, column 10: invalid JSON"),
        (b'{"name": "a"}\n[2]\n', "Line 2: The body must be a JSON object."),
        (b'{"name": "a",\n "tags": oops}', "Line 2, column 10: invalid JSON"),
        (b'{"name": "a"}\n{"name": "\xff"}', "Line 2: the text is not valid UTF-8."),
        (b'{"name": NaN}', "NaN is not JSON."),
        (b'{"name": "\\ud800"}', "Row 1: it contains invalid characters"),
        (b'{"configuration": {"a": ' + b"9" * 5000 + b"}}", "The JSON cannot be read"),
        (b'{"configuration": ' + b'{"a": ' * 200_000, "nested too deeply"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
    ],
    ids=range(15),
)
@pytest.mark.django_db
def test_bad_input_is_refused_in_a_sentence_and_nothing_is_changed(content, sentence, provision):
    make_organization_user(email="demo@example.com")
    status, out, err = provision(content)
    assert (status, out) == (2, "")
    assert sentence in err
    assert not BulkRow.objects.exists()


@pytest.mark.django_db
def test_of_many_wrong_rows_the_first_are_told_and_the_rest_counted(provision):
    make_organization_user(email="demo@example.com")
    _, _, err = provision([{"name": 5}] * 50)
    assert err.endswith("30 more rows have errors.")


@pytest.mark.django_db
def test_a_file_that_is_not_there_is_named(tmp_path):
    make_organization_user(email="demo@example.com")
    with pytest.raises(CommandError, match="cannot be read: No such file") as refused:
        call_command("provision_instances", tmp_path / "absent", "--user", "demo@example.com")
    assert refused.value.returncode == 2


@pytest.mark.django_db
def test_an_unknown_user_is_refused(provision):
    status, _, err = provision(BODY, user="nobody@example.com")
    assert status == 2
    assert "There is no user nobody@example.com" in err


def test_an_address_in_two_organizations_needs_the_organizations_name(sandbox, provision):
    make_organization_user(email="Demo@example.com")
    status, _, err = provision(BODY)
    assert status == 2
    assert "is in several organizations" in err
    status, _, err = provision(BODY, "--organization", "Demo")
    assert (status, err) == (0, "")
    assert Instance.objects.get().organization.name == "Demo"
