"""Roles and pages: without access a connection is not found, and viewers change nothing.

The pages come from the URL configuration, so a new page without a rule here fails.
"""

import pytest
from django.test import Client
from django.urls import reverse

from instances.models import AuthorizationLink, Instance
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.actions import ACTIONS, CERTIFICATE
from instances.provisioning.oauth.links import make_link
from instances.urls import self_service
from tests.support.factories import make_instance, make_organization_user, make_user

OPEN = {"sign_in", "sign_out"}
OF_ACCOUNT = {"connections", "catalogue", "password", "connect", "request_set_up"}
# The pages of a connection, and whether a viewer may open each one.
OF_CONNECTION = {
    "connection": True,
    "connection_action": False,
    "revoke_link": False,
}


@pytest.fixture
def instance(db):
    return make_instance(name="Acme")


def urls_of(instance, name):
    if name == "connection_action":
        # A certificate is a file, and only of some (tests/signed).
        pages = ACTIONS.keys() - {CERTIFICATE.name}
        return [reverse(name, args=[instance.pk, one]) for one in sorted(pages)]
    if name == "revoke_link":
        maker = make_user("maker", is_superuser=True)
        return [reverse(name, args=[make_link(instance, user=maker).link.pk])]
    return [reverse(name, args=[instance.pk])]


def test_every_page_has_a_rule():
    assert {pattern.name for pattern in self_service} == OPEN | OF_ACCOUNT | set(OF_CONNECTION)


@pytest.mark.parametrize("name", sorted(OF_CONNECTION))
def test_nobody_gets_in_without_signing_in(client, instance, name):
    for url in urls_of(instance, name):
        assert client.get(url)["Location"].startswith("/connect/sign-in?next=")
        assert client.post(url)["Location"].startswith("/connect/sign-in?next=")


@pytest.mark.parametrize("group", ["staff", "operator", "viewer"])
@pytest.mark.parametrize("name", sorted(OF_CONNECTION))
def test_another_users_connection_is_not_found(person, instance, name, group):
    elsewhere = make_organization_user().organization
    browser = person(group, of=None if group == "staff" else elsewhere).browser
    for url in urls_of(instance, name):
        assert browser.get(url).status_code == 404
        assert browser.post(url).status_code == 404
    instance.refresh_from_db()
    assert (instance.state, instance.name, instance.is_disabled) == ("draft", "Acme", False)
    assert not AuthorizationLink.objects.filter(revoked_at__isnull=False).exists()
    assert "Acme" not in browser.get("/connect/").text


@pytest.mark.parametrize("name", sorted(OF_CONNECTION))
def test_a_viewer_changes_nothing(person, instance, name):
    browser = person("viewer", of=instance.organization).browser
    for url in urls_of(instance, name):
        assert browser.get(url).status_code == (200 if OF_CONNECTION[name] else 403)
        assert browser.post(url).status_code == (405 if OF_CONNECTION[name] else 403)
    instance.refresh_from_db()
    assert (instance.state, instance.name) == ("draft", "Acme")


@pytest.mark.parametrize("name", sorted(OF_CONNECTION))
def test_an_operator_and_the_owner_open_every_page(person, instance, name):
    owner = person("staff")
    instance.organization_user.user = owner.user
    instance.organization_user.save()
    urls = urls_of(instance, name)
    for somebody in (owner, person("operator", of=instance.organization)):
        for url in urls:
            expected = 403 if url.endswith("/reveal/") else 200
            assert somebody.browser.get(url).status_code == expected


def test_a_viewer_gets_no_buttons(person, instance):
    page = person("viewer", of=instance.organization).browser.get(f"/connect/{instance.pk}/").text
    for label in ("Edit name", "Send link", "Delete", "Enter credentials"):
        assert label not in page


def test_a_role_applies_only_to_the_organization_of_the_membership(person, instance):
    """A user who is an operator of one organization and a viewer of another."""
    somebody = person("operator", of=make_organization_user().organization)
    somebody.user.memberships.create(organization=instance.organization, role="viewer")
    assert is_permitted(somebody.user, instance, InstancePermission.VIEW)
    assert not is_permitted(somebody.user, instance, InstancePermission.CHANGE)


def test_no_role_alone_reveals_a_token(person, instance):
    somebody = person("operator", of=instance.organization)
    assert not is_permitted(somebody.user, instance, InstancePermission.REVEAL)


def test_an_inactive_user_has_no_permissions(person, instance):
    somebody = person("operator", of=instance.organization)
    somebody.user.is_active = False
    assert not is_permitted(somebody.user, instance, InstancePermission.VIEW)


def test_a_user_without_a_role_is_denied(instance):
    somebody = make_user("nobody")
    instance.organization_user.user = somebody
    instance.organization_user.save()
    browser = Client()
    browser.force_login(somebody)
    for path in ("/connect/", f"/connect/{instance.pk}/", "/connect/catalogue/keyed/"):
        page = browser.get(path)
        assert page.status_code == 403
        assert (
            "you have no role" if path == "/connect/" else "do not have permission"
        ) in page.text


def test_a_superuser_sees_all(instance):
    browser = Client()
    browser.force_login(make_user("root", is_superuser=True))
    assert "Acme" in browser.get("/connect/").text
    assert list(Instance.objects.visible_to(make_user("other"))) == []
