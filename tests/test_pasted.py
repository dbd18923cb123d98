"""Ids, keys and secrets are taken without what a paste brings along, at every entrance; names are compared likewise."""

import json

import pytest
from django.core.management import call_command

from instances.models import Instance, OAuthApp, Organization
from instances.provisioning.access.organizations import create_account, find_user
from tests.support.factories import make_element, make_organization

AROUND = [
    " {} ",
    "{}\n",
    "\r\n{}\r\n",
    "\t{}",
    "\u00a0{}\u3000",
    "\ufeff{}\u200b",
    "\u2060{} \u200e\n",
]
SAME = [
    "Acme Inc",
    "acme inc",
    "  ACME\u00a0 INC\n",
    "\uff21\uff43\uff4d\uff45 Inc",
    "Acme\u200b Inc",
    "\uff21\uff23\uff2d\uff25\tInc",
]

pytestmark = pytest.mark.django_db


@pytest.fixture
def body():
    make_element()
    configuration = {"api.key": "k3y-of-the-account", "site": "acme"}
    return {"element": {"key": "keyed"}, "name": "Acme", "configuration": configuration}


def pasted(body, around):
    return body | {"configuration": {k: around.format(v) for k, v in body["configuration"].items()}}


@pytest.mark.parametrize("around", AROUND)
def test_the_api_stores_ids_and_keys_without_what_is_around_them(around, body):
    from tests.api.conftest import make_api_client

    api = make_api_client()
    created = api.post("instances", pasted(body, around))
    assert created.status_code == 200
    assert Instance.objects.get().full_configuration() == body["configuration"]
    path = f"instances/{created.json()['id']}"
    changed = {
        "configuration": {"api.key": around.format("an0ther-key"), "site": around.format("b")}
    }
    assert api.patch(path, changed).status_code == 200
    assert Instance.objects.get().full_configuration() == {"api.key": "an0ther-key", "site": "b"}


@pytest.mark.parametrize("around", AROUND)
def test_a_file_is_read_likewise(around, body, tmp_path):
    create_account("Acme", "ada@example.com")
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps([pasted(body, around)]))
    call_command("provision_instances", path, "--user", "ada@example.com")
    assert Instance.objects.get().full_configuration() == body["configuration"]


@pytest.mark.parametrize("around", AROUND)
def test_a_form_stores_them_likewise(around, body, person):
    staff = person("staff")
    account = create_account("Acme", "ada@example.com").user
    account.user = staff.user
    account.save()
    fields = pasted(body, around)["configuration"]
    data = {f"configuration.{key}": value for key, value in fields.items()}
    staff.browser.post("/connect/catalogue/keyed/", data | {"name": "Acme", "draft": "yes"})
    assert Instance.objects.get().full_configuration() == body["configuration"]


@pytest.mark.parametrize("around", AROUND)
def test_an_oauth_app_is_stored_likewise(around, admin_client, dynamics):
    data = {
        "organization": make_organization().pk,
        "element": dynamics.pk,
        "client_id": around.format("the-client"),
        "new_client_secret": around.format("the-client-secret"),
    }
    admin_client.post("/admin/instances/oauthapp/add/", data)
    app = OAuthApp.objects.get()
    assert (app.client_id, app.client_secret.reveal()) == ("the-client", "the-client-secret")


def test_an_oauth_app_with_a_blank_secret_alone_names_the_field(admin_client, dynamics):
    data = {"organization": make_organization().pk, "element": dynamics.pk, "client_id": "c"}
    path = "/admin/instances/oauthapp/add/"
    page = admin_client.post(path, data | {"new_client_secret": " \n"})
    assert "new_client_secret" in page.context["adminform"].form.errors
    assert not OAuthApp.objects.exists()


@pytest.mark.parametrize("around", AROUND)
def test_the_secrets_of_a_remote_platform_are_stored_likewise(around, admin_client):
    account = create_account(
        around.format("Acme"),
        around.format("Ada@example.com"),
        platform_url=around.format("https://remote.example/"),
        organization_secret=around.format("organization-secret"),
        user_secret=around.format("user-secret"),
    ).user
    organization = account.organization
    assert (organization.name, organization.platform_url) == ("Acme", "https://remote.example")
    assert organization.secret.reveal() == "organization-secret"
    assert (account.email, account.secret.reveal()) == ("ada@example.com", "user-secret")
    data = {
        "name": around.format("Acme"),
        "platform_url": organization.platform_url,
        "endpoint_overrides": "{}",
        "private_hosts": "{}",
        "new_secret": around.format("renewed-secret"),
    }
    admin_client.post(f"/admin/instances/organization/{organization.pk}/change/", data)
    organization.refresh_from_db()
    assert organization.secret.reveal() == "renewed-secret"


@pytest.mark.parametrize("name", SAME)
def test_an_organization_is_found_by_what_people_take_for_its_name(name):
    first = create_account("Acme Inc", "ada@example.com").user
    again = create_account(name, "bob@example.com").user
    assert again.organization == first.organization
    assert Organization.objects.get().name == "Acme Inc"
    create_account("Other", "ada@example.com")
    assert find_user("ada@example.com", name) == first


@pytest.mark.parametrize("name", SAME)
def test_the_admin_makes_no_second_organization_of_the_same_name(name, admin_client):
    create_account("Acme Inc", "ada@example.com")
    data = {"name": name, "platform_url": "", "endpoint_overrides": "{}", "private_hosts": "{}"}
    page = admin_client.post("/admin/instances/organization/add/", data)
    assert "name" in page.context["adminform"].form.errors
    assert Organization.objects.count() == 1


def test_an_organization_is_renamed_to_another_spelling_of_its_name(admin_client):
    organization = create_account("acme inc", "ada@example.com").user.organization
    data = {"name": "Acme Inc", "endpoint_overrides": "{}", "private_hosts": "{}"}
    path = f"/admin/instances/organization/{organization.pk}/change/"
    admin_client.post(path, data)
    organization.refresh_from_db()
    assert organization.name == "Acme Inc"
