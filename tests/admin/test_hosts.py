"""Lists of hosts: operators enter them, and a stored secret is not sent to a changed list."""

import json

import pytest

from instances.catalogue.sandbox import SANDBOX_CLIENT_SECRET
from instances.models import Instance, Organization
from tests.api.test_hosts import OWN_CLIENT, PASSWORD, PASSWORD_WAY, element_of
from tests.conftest import shipped
from tests.support.factories import (
    make_instance,
    make_oauth_app,
    make_organization,
    make_organization_user,
)

APPS = "/admin/instances/oauthapp/"
ORGANIZATIONS = "/admin/instances/organization/"


@pytest.fixture
def app(dynamics):
    return make_oauth_app(organization=make_organization(), element=dynamics, hosts=["a.example"])


def entered(app, **changes):
    return {
        "organization": app.organization_id,
        "element": app.element_id,
        "client_id": app.client_id,
        "new_client_secret": "",
        "hosts": "\n".join(app.hosts),
    } | changes


def change(operator, app, **changes):
    page = operator.post(f"{APPS}{app.pk}/change/", entered(app, **changes))
    app.refresh_from_db()
    return page


def test_hosts_are_entered_one_per_line_and_shown_again(operator, app):
    change(operator, app, hosts="B.Example\n *.corp.example:8443 ", new_client_secret="again")
    assert app.hosts == ["b.example", "*.corp.example:8443"]
    assert "b.example\n*.corp.example:8443" in operator.get(f"{APPS}{app.pk}/change/").text


@pytest.mark.parametrize("hosts", ["*", "*.com", "https://crm.example", "crm.example/x"])
def test_invalid_or_too_broad_hosts_are_rejected(operator, app, hosts):
    page = change(operator, app, hosts=hosts, new_client_secret="again")
    assert hosts in page.text
    assert app.hosts == ["a.example"]


@pytest.mark.parametrize("hosts", ["a.example\nb.example", ""])
def test_changed_hosts_need_the_client_secret_again(operator, app, hosts):
    page = change(operator, app, hosts=hosts)
    assert "Enter the client secret again" in page.text
    assert app.hosts == ["a.example"]
    change(operator, app, hosts=hosts, new_client_secret="again")
    assert app.hosts == hosts.split()
    assert app.client_secret.reveal() == "again"


def test_a_request_cannot_forge_the_previous_hosts(operator, app):
    data = entered(app, hosts="evil.example") | {"initial-hosts": "evil.example"}
    page = operator.post(f"{APPS}{app.pk}/change/", data)
    assert "Enter the client secret again" in page.text


def test_another_element_needs_the_client_secret_again(operator, app):
    elsewhere = shipped("sfdc")
    page = change(operator, app, element=elsewhere.pk)
    assert "Enter the client secret again" in page.text
    assert app.element_id != elsewhere.pk


def test_another_organization_needs_it_too(operator, app):
    page = change(operator, app, organization=make_organization().pk)
    assert "Enter the client secret again" in page.text


def test_other_changes_do_not_need_it(operator, app):
    assert change(operator, app, client_id="renamed").status_code == 302
    assert app.client_id == "renamed"


def test_private_hosts_are_listed_for_each_element(operator):
    entered = {"sugarcrmv2": ["CRM.corp.example", "10.0.0.5:8443"]}
    data = {"name": "Near", "endpoint_overrides": "{}", "private_hosts": json.dumps(entered)}
    operator.post(f"{ORGANIZATIONS}add/", data)
    kept = {"sugarcrmv2": ["crm.corp.example", "10.0.0.5:8443"]}
    assert Organization.objects.get().private_hosts == kept


@pytest.mark.parametrize(
    "entered",
    ['["crm.example"]', '{"sfdc": "crm.example"}', '{"sfdc": ["*"]}', '{"sfdc": [1]}', "{"],
)
def test_invalid_private_hosts_are_rejected(operator, entered):
    data = {"name": "Near", "endpoint_overrides": "{}", "private_hosts": entered}
    assert operator.post(f"{ORGANIZATIONS}add/", data).status_code == 200
    assert not Organization.objects.exists()


def test_a_form_says_which_secrets_another_host_needs(operator):
    instance = make_instance(element=element_of(PASSWORD_WAY), configuration=PASSWORD | OWN_CLIENT)
    url = f"/admin/instances/instance/{instance.pk}/actions/reauthenticate/"
    page = operator.post(url, {"configuration.base.url": "https://evil.example"})
    assert "Stored secrets are only sent to the host that they were entered for" in page.text
    assert page.text.count("Enter it again for the new host.") == 3
    assert Instance.objects.get().configuration["base.url"] == "https://crm.example"


def test_a_form_rejects_a_host_that_the_oauth_app_may_not_reach(operator, app):
    user = make_organization_user(organization=app.organization)
    url = f"/admin/instances/instance/add/{user.pk}/{app.element_id}/?way=oauth2"
    page = operator.post(url, {"configuration.dynamics.tenant": "evil.example", "name": "Acme"})
    assert "evil.example" in page.text
    assert "is not allowed for Microsoft Dynamics CRM" in page.text
    assert not Instance.objects.exists()
    assert SANDBOX_CLIENT_SECRET not in page.text
