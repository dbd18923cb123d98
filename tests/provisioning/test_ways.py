"""Which way of authentication a body means, at each entrance, and what it then lacks (contract 7.5)."""

import csv
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from instances.bulk.dry_run import check_bulk_job
from instances.bulk.files.formats import read_rows
from instances.bulk.reading import read_bulk_job
from instances.models import BulkRow, Instance
from tests.api.conftest import make_api_client
from tests.support.factories import make_element

MISSING = "Missing required configuration: user.password, dynamics.tenant"
NO_CODE = "You must provide an OAuth code in order to create an instance of this element"
MEANT = [
    ({"user.username": "a"}, MISSING),
    ({"user.username": "a", "dynamics.tenant": ""}, MISSING),
    ({"user.username": "a", "user.password": None}, MISSING),
    ({"user.username": "a", "user.password": "********"}, MISSING),
    ({"user.password": "p"}, "Missing required configuration: user.username, dynamics.tenant"),
    (
        {"user.username": "a", "dynamics.tenant": "acme.crm.dynamics.com"},
        "Missing required configuration: user.password",
    ),
    ({"user.username": "a", "oauth.api.key": "k", "oauth.api.secret": "s"}, MISSING),
    (
        {"user.username": " ", "user.password": ""},
        "Missing required configuration: user.username, user.password, dynamics.tenant",
    ),
    (
        {"authentication.type": "Custom"},
        "Missing required configuration: user.username, user.password, dynamics.tenant",
    ),
    ({}, NO_CODE),
    ({"dynamics.tenant": "acme.crm.dynamics.com"}, NO_CODE),
    ({"document.tagging": "true", "unknown.key": "x"}, NO_CODE),
    (
        {"oauth.api.key": "k", "oauth.callback.url": "https://a.example", "user.username": ""},
        NO_CODE,
    ),
    ({"authentication.type": "oauth2", "user.username": "a"}, NO_CODE),
]


@pytest.fixture
def api(dynamics):
    return make_api_client()


@pytest.mark.parametrize(("configuration", "message"), MEANT)
def test_a_body_names_every_missing_entry_of_the_way_that_it_means(api, configuration, message):
    body = {"element": {"key": "dynamicscrmadfs"}, "configuration": configuration}
    response = api.post("instances", body)
    assert (response.status_code, response.json()["message"]) == (400, message)
    assert not Instance.objects.exists()


def test_a_code_means_oauth_whatever_keys_come_with_it(api):
    body = {
        "element": {"key": "dynamicscrmadfs"},
        "providerData": {"code": "c"},
        "configuration": {"user.username": "a"},
    }
    message = api.post("instances", body).json()["message"]
    assert message.startswith("Missing required configuration: oauth.api.key, oauth.api.secret")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("user.username", "user.password"),
        ("token_id", "token_secret"),
    ],
)
def test_of_several_direct_ways_the_one_with_the_given_keys_is_meant(api, given, missing):
    fields = {
        "custom": ["account", "token_id", "token_secret"],
        "basic": ["account", "user.username", "user.password"],
    }
    ways = [
        {"type": kind, "fields": [{"key": k, "label": k, "required": True} for k in keys]}
        for kind, keys in fields.items()
    ]
    names = {"id": 900100, "key": "several", "name": "Several", "hub": "erp", "description": "d"}
    make_element(names | {"authentication": ways})
    body = {"element": {"key": "several"}, "configuration": {given: "a", "account": "7"}}
    message = api.post("instances", body).json()["message"]
    assert message == f"Missing required configuration: {missing}"


def test_imported_tokens_mean_oauth_although_a_direct_way_has_keys_for_them(api):
    keys = ["oauth.user.token", "oauth.user.token.secret", "realm"]
    client = [{"key": "oauth.api.key", "label": "Key", "required": True}]
    direct = {"type": "custom", "fields": [{"key": k, "label": k, "required": True} for k in keys]}
    oauth = {"type": "oauth1", "fields": client}
    names = {"id": 900100, "key": "books", "name": "Books", "hub": "finance", "description": "d"}
    make_element(names | {"authentication": [direct, oauth]})
    body = {
        "element": {"key": "books"},
        "externalAuthentication": "initial",
        "configuration": {"oauth.user.token": "t", "oauth.user.token.secret": "s"},
    }
    message = api.post("instances", body).json()["message"]
    assert message == "Missing required configuration: oauth.api.key"


@pytest.mark.parametrize("ending", ["csv", "json"])
@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_the_command_names_every_missing_entry_of_a_row(api, tmp_path, capsys, ending, options):
    path = tmp_path / f"accounts.{ending}"
    path.write_text(_file(ending))
    with pytest.raises(CommandError) as failed:
        call_command("provision_instances", path, "--user", "ada@example.com", *options)
    assert failed.value.returncode == 1
    assert MISSING in capsys.readouterr().out
    assert not Instance.objects.exists()


def test_the_dry_run_of_an_upload_names_every_missing_entry(api):
    job = read_bulk_job(api.user, read_rows(io.BytesIO(_file("csv").encode())), actor="test")
    list(check_bulk_job(job))
    assert BulkRow.objects.get().verdict == MISSING


def test_the_form_names_every_missing_entry_at_its_field(api, person):
    staff = person("staff")
    api.user.user = staff.user
    api.user.save()
    url = reverse("connect", args=["dynamicscrmadfs"], query={"way": "custom"})
    page = staff.browser.post(url, {"configuration.user.username": "a"})
    errors = page.context["form"].errors
    assert set(errors) == {"configuration.user.password", "configuration.dynamics.tenant"}
    assert not Instance.objects.exists()


def _file(ending: str) -> str:
    if ending == "json":
        body = {"element": {"key": "dynamicscrmadfs"}, "name": "Acme"}
        return json.dumps([body | {"configuration": {"user.username": "a"}}])
    written = io.StringIO()
    row = ["Acme", "dynamicscrmadfs", "a", "", ""]
    header = ["name", "element", "user.username", "user.password", "dynamics.tenant"]
    csv.writer(written).writerows([header, row])
    return written.getvalue()
