"""The instances of a user's remote platform are imported, and those that already exist are reported."""

import json

import pytest
from django.core.management import CommandError, call_command

from instances.models import Instance, StateChange
from tests.support.factories import (
    make_element,
    make_instance,
    make_organization,
    make_organization_user,
)
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET

pytestmark = pytest.mark.django_db(transaction=True)
EMAIL = "ada@example.com"


@pytest.fixture
def user(provider):
    organization = make_organization(
        name="Acme", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    make_element()
    return make_organization_user(organization=organization, email=EMAIL, secret=USER_SECRET)


@pytest.fixture
def have(provider):
    """Return a function that creates an instance on the platform."""

    def put(number, **fields):
        provider.instances[number] = {
            "id": number,
            "name": f"Account {number}",
            "token": f"element-token-{number}",
            "tags": ["far"],
            "valid": True,
            "disabled": False,
            "element": {"key": "keyed", "authentication": {"type": "apiKey"}},
            "configuration": {"api.key": "********", "site": "acme", "empty": None},
        } | fields

    return put


def run(capsys, command, *options):
    capsys.readouterr()
    try:
        call_command(command, "--user", EMAIL, *options)
    except CommandError as error:
        return error.returncode, capsys.readouterr().out, str(error)
    return 0, capsys.readouterr().out, ""


def test_instances_are_taken_over_with_their_id_and_token(user, have, capsys):
    have(11)
    have(12, disabled=True, tags=[])
    have(13, valid=False)
    assert run(capsys, "import_instances")[:2] == (
        0,
        "Account 11: imported\nAccount 12: imported\nAccount 13: imported\nImported: 3 of 3.\n",
    )
    first, second, third = Instance.objects.order_by("remote_id")
    assert (first.remote_id, first.state, first.tag_names) == (11, "connected", ["far"])
    assert Instance.objects.with_token("element-token-11").get() == first
    assert (first.configuration, first.secret_keys) == ({"site": "acme"}, [])
    assert (second.is_disabled, second.tag_names) == (True, [])
    assert third.state == "needs_reauthorization"
    [change] = StateChange.objects.filter(instance=first)
    assert (change.to_state, change.reason) == ("connected", "Imported from the remote platform.")


def test_importing_again_changes_nothing(user, have, capsys):
    have(11)
    run(capsys, "import_instances")
    before = list(Instance.objects.values())
    assert run(capsys, "import_instances")[1] == "Account 11: already exists\nImported: 0 of 1.\n"
    assert list(Instance.objects.values()) == before


def test_what_was_made_from_here_and_lost_is_left_to_be_reconciled(user, have, capsys):
    lost = make_instance(organization_user=user)
    have(11, tags=[f"im-{lost.uid}"])
    assert "already exists" in run(capsys, "import_instances")[1]
    assert Instance.objects.count() == 1


def test_all_pages_are_read(user, have, provider, capsys):
    provider.page_size = 2
    for number in range(11, 16):
        have(number)
    assert run(capsys, "import_instances")[0] == 0
    assert Instance.objects.count() == 5


def test_an_unknown_element_is_told_and_the_others_go_on(user, have, capsys):
    have(11, element={"key": "nowhere"})
    have(12, element={"key": "keyed", "authentication": {"type": "strange"}})
    have(13)
    status, out, error = run(capsys, "import_instances", "--json")
    rows = json.loads(out)["rows"]
    assert (status, error) == (1, "2 of 3 instances failed.")
    assert "element nowhere is not in the catalogue. Load its file" in rows[0]["error"]
    assert "authentication.type" in rows[1]["error"]
    assert (rows[2]["id"], rows[2]["state"], rows[2]["error"]) == (13, "connected", "")
    assert "element-token" not in out


def test_an_empty_platform_has_nothing_to_import(user, capsys):
    assert run(capsys, "import_instances")[:2] == (0, "Imported: 0 of 0.\n")


def test_a_platform_that_is_down_is_told(user, provider, capsys):
    provider.override = (503, {"message": "Down"})
    status, _, error = run(capsys, "import_instances")
    assert status == 2
    assert "failed with a server error (List instances, HTTP 503)" in error


def test_there_is_nothing_to_import_where_this_program_is_the_platform(db, capsys):
    make_organization_user(email=EMAIL)
    status, _, error = run(capsys, "import_instances")
    assert (status, "no remote platform" in error) == (2, True)


def test_a_user_that_is_not_there_is_told(db, capsys):
    for command in ("import_instances", "export_instances"):
        status, _, error = run(capsys, command)
        assert (status, error) == (
            2,
            "There is no user ada@example.com. Create one with create_account.",
        )


def test_an_export_holds_no_secret_and_is_read_again(user, have, capsys, tmp_path):
    have(11)
    run(capsys, "import_instances")
    secret = {"api.key": "s3cret", "site": "acme"}
    make_instance(organization_user=user, name="Drafted", configuration=secret)
    imported, drafted = run(capsys, "export_instances")[1].splitlines()
    told = json.loads(imported)
    assert (told["id"], told["name"], told["state"]) == (11, "Account 11", "connected")
    assert json.loads(drafted)["configuration"]["api.key"] == "********"
    assert "s3cret" not in drafted
    assert "element-token" not in imported
    (tmp_path / "again.jsonl").write_text(drafted.replace("********", "another"))
    other = make_organization_user().email
    call_command("provision_instances", tmp_path / "again.jsonl", "--user", other, "--dry-run")
