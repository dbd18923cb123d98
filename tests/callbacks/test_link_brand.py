"""Every page of a link is in the name of the organization, and says whom to ask; also when the link has ended."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import AuthorizationLink
from instances.provisioning.oauth.links import make_link
from tests.support.consent import TENANT, decide
from tests.support.factories import make_instance

CREDENTIALS = {
    "configuration.user.username": "user@sandbox.example",
    "configuration.user.password": "sandbox-password",
}
ASK = '<a href="mailto:mina@example.com">mina@example.com</a>'


@pytest.fixture
def make(staff, sandbox, dynamics):
    def make(way="oauth2"):
        instance = make_instance(
            name="Contoso",
            organization_user=sandbox,
            element=dynamics,
            authentication_type=way,
            is_incomplete=True,
        )
        token = make_link(instance, user=staff.user).url.partition("/authorize/")[2]
        return f"/authorize/{token}"

    return make


def brand(page):
    found = re.search(r'<span class="im-brand">(.*?)</span>', page.text, re.DOTALL)
    return re.sub(r"<[^>]*>", "", found[1]).strip() if found else ""


def expect_organization(page):
    assert brand(page) == "Demo"
    assert ASK in page.text
    assert "Connections by Instance Manager" in page.text


def test_the_page_that_asks(make, client):
    expect_organization(client.get(make()))


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_the_page_after_the_provider(make, client, decision):
    away = client.post(make(), TENANT)
    expect_organization(client.get(decide(away["Location"], decision)))


def test_the_page_after_credentials_says_that_they_were_tested(make, client):
    page = client.post(make("custom"), TENANT | CREDENTIALS)
    expect_organization(page)
    assert "A test request succeeded." in page.text


@pytest.mark.parametrize("column", ["expires_at", "revoked_at", "completed_at"])
def test_a_link_that_has_ended(make, client, column):
    path = make()
    AuthorizationLink.objects.update(**{column: timezone.now() - timedelta(minutes=1)})
    expect_organization(client.get(path))


def test_a_link_that_is_open_in_another_browser(make, client):
    path = make()
    client.post(path, TENANT)
    page = Client().get(path)
    assert page.status_code >= 400
    expect_organization(page)


def test_a_link_that_nobody_made_names_no_organization(make, client):
    page = client.get(f"{make()}x")
    assert brand(page) == "Instance Manager"
    assert "mailto:" not in page.text
