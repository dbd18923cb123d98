"""Staff ask for a service that needs an OAuth app, and the operators receive it."""

import pytest

from instances.models import ElementRequest
from instances.provisioning.access import element_requests
from tests.conftest import shipped
from tests.support.factories import make_oauth_app, make_organization_user
from tests.support.lists import make_in_state

CATALOGUE = "/connect/catalogue/"


@pytest.fixture
def slack(db):
    return shipped("slack")


@pytest.fixture
def mina(person):
    found = person("staff", name="mina")
    make_organization_user(user=found.user)
    return found


@pytest.fixture
def organization(mina):
    return mina.user.organization_users.get().organization


def ask(person, element):
    return person.browser.post(f"{CATALOGUE}{element.key}/request", follow=True)


def test_what_needs_an_oauth_app_is_requested_and_reaches_the_operators(
    mina, organization, slack, person
):
    operator = person("operator", of=organization)
    operator.user.is_staff = True
    operator.user.save()
    assert 'aria-label="Request Slack (slack)"' in mina.browser.get(CATALOGUE).text

    page = ask(mina, slack)

    assert "Your operators see that you need Slack." in page.text
    assert "Requested " in page.text
    assert 'aria-label="Request Slack (slack)"' not in page.text
    console = operator.browser.get("/admin/").text
    assert "Requested by staff" in console
    assert "Add OAuth app for Slack" in console
    assert "Slack" in operator.browser.get("/admin/instances/elementrequest/").text


def test_a_request_is_answered_by_an_oauth_app(mina, organization, slack, person):
    operator = person("operator", of=organization)
    operator.user.is_staff = True
    operator.user.save()
    ask(mina, slack)

    make_oauth_app(organization=organization, element=slack)

    assert f'href="{CATALOGUE}slack/"' in mina.browser.get(CATALOGUE).text
    assert "Requested by staff" not in operator.browser.get("/admin/").text


def test_a_request_is_answered_by_a_shared_oauth_app(mina, organization, slack, person):
    operator = person("operator", of=organization)
    operator.user.is_staff = True
    operator.user.save()
    ask(mina, slack)
    lender = make_organization_user().organization
    app = make_oauth_app(organization=lender, element=slack)
    assert "Requested by staff" in operator.browser.get("/admin/").text

    app.shared_with.add(organization)

    assert f'href="{CATALOGUE}slack/"' in mina.browser.get(CATALOGUE).text
    assert "Requested by staff" not in operator.browser.get("/admin/").text


def test_operators_of_other_organizations_do_not_see_it(mina, slack, person):
    ask(mina, slack)
    stranger = person("operator", of=make_organization_user().organization)
    stranger.user.is_staff = True
    stranger.user.save()

    assert "Requested by staff" not in stranger.browser.get("/admin/").text
    assert "Slack" not in stranger.browser.get("/admin/instances/elementrequest/").text


def test_asking_twice_is_one_request(mina, slack):
    ask(mina, slack)
    ask(mina, slack)

    assert ElementRequest.objects.count() == 1


def test_open_requests_are_limited(mina, slack, monkeypatch):
    monkeypatch.setattr(element_requests, "MAX_OPEN_REQUESTS", 1)
    ask(mina, slack)

    page = ask(mina, shipped("box"))

    assert "1 of your requests are open." in page.text
    assert ElementRequest.objects.count() == 1


def test_what_can_be_connected_already_is_not_requested(mina, organization, slack):
    make_oauth_app(organization=organization, element=slack)

    assert "Slack can be connected already." in ask(mina, slack).text
    assert not ElementRequest.objects.exists()


@pytest.mark.parametrize("group", ["viewer", "staff"])
def test_only_who_may_connect_accounts_may_ask(person, slack, group):
    """A viewer, and staff without an organization user."""
    answer = ask(person(group), slack)

    assert answer.status_code == 403
    assert not ElementRequest.objects.exists()


def test_own_broken_connections_come_first(mina, dynamics):
    owner = mina.user.organization_users.get()
    make_in_state("needs_reauthorization", name="Harbor", organization_user=owner)

    text = mina.browser.get(CATALOGUE).text

    assert "Harbor does not work." in text
    assert text.index("Harbor does not work.") < text.index("Ready to connect")
