"""The first run: an empty installation is led to its first instance, and left alone after that."""

import pytest

from instances.models import Organization
from tests.support.factories import (
    make_element,
    make_member,
    make_oauth_app,
    make_organization,
    make_organization_user,
    make_user,
)
from tests.support.lists import make_in_state

PATH = "/admin/"


def done(page):
    return [step.is_done for step in page.context["first_steps"]]


def current(page):
    return [str(step.label) for step in page.context["first_steps"] if step.is_current]


def test_it_begins_with_an_organization(operator):
    page = operator.get(PATH)
    assert "Set up your first connection" in page.text
    assert done(page) == [False, False, False, False]
    assert current(page) == ["Create an organization"]
    assert "/admin/instances/organization/add/" in page.text


def test_an_organization_needs_a_user(operator):
    make_organization()
    page = operator.get(PATH)
    assert current(page) == ["Add an organization user"]


def test_the_address_for_the_oauth_app_is_there_to_copy(operator):
    make_organization_user()
    page = operator.get(PATH)
    assert current(page) == ["Add an OAuth app"]
    assert "/oauth/callback</pre>" in page.text


def test_it_ends_with_the_first_account(operator):
    owner = make_organization_user()
    make_oauth_app(organization=owner.organization, element=make_element())
    page = operator.get(PATH)
    assert done(page) == [True, True, False, False]
    assert current(page) == ["Connect an account"]


@pytest.mark.parametrize("state", ["connected", "needs_reauthorization"])
def test_the_console_comes_with_the_first_connected_instance(operator, state):
    make_in_state("draft")
    assert "Set up your first connection" in operator.get(PATH).text
    make_in_state(state)
    page = operator.get(PATH)
    assert "Set up your first connection" not in page.text
    assert "Action needed" in page.text


def test_what_failed_is_shown_beside_the_steps(operator):
    make_in_state("failed", cause="credentials_rejected")
    page = operator.get(PATH)
    assert "Set up your first connection" in page.text
    assert "Credentials rejected" in page.text


def test_the_sandbox_is_a_way_out(operator, settings):
    settings.SANDBOX_ENABLED = True
    element = make_element()
    assert operator.get(PATH).context["sandbox_url"] == "/sandbox/"
    owner = make_organization_user()
    Organization.objects.update(endpoint_overrides={element.key: {"https://a/": "/sandbox/"}})
    url = f"/admin/instances/instance/add/{owner.pk}/{element.pk}/"
    assert operator.get(PATH).context["sandbox_url"] == url
    settings.SANDBOX_ENABLED = False
    assert "Connect the sandbox" not in operator.get(PATH).text


def test_steps_are_those_of_the_users_own_organizations(client, db):
    make_organization_user()
    own = make_organization()
    user = make_user("olga", permissions=("view_instance", "add_instance"))
    make_member(user, own)
    client.force_login(user)
    page = client.get(PATH)
    assert own.name in str(page.context["first_steps"][0].text)
    assert "Ask an administrator to add one." in page.text
    # Without the permission there is no button.
    assert "/admin/instances/organizationuser/add/" not in page.text
    assert "/admin/instances/oauthapp/add/" not in page.text


def test_a_viewer_is_told_whom_to_ask(sign_in):
    page = sign_in("view_instance").get(PATH)
    assert "Ask an administrator to connect one" in page.text
    assert "first_steps" not in page.context
