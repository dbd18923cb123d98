"""The fields of a link's page, and that nothing else can be changed through it."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from instances.crypto import sealing
from instances.models import AuthorizationLink, Instance
from instances.provisioning.create import create_draft
from instances.provisioning.oauth.links import connect_by_link
from tests.api.test_hosts import OWN_CLIENT, PASSWORD, PASSWORD_WAY, element_of
from tests.conftest import shipped
from tests.support.factories import make_oauth_app, make_organization_user, make_user
from tests.support.internet import Internet, lead_everything_to


@pytest.fixture
def internet(settings, monkeypatch):
    with Internet() as internet:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [internet.netloc]
        lead_everything_to(internet, monkeypatch)
        yield internet


@pytest.fixture
def user(db):
    return make_organization_user()


@pytest.fixture
def link_to(user):
    """Return the path of a link for a draft: link_to(element, configuration)."""

    def link_to(element, configuration, kind=None):
        instance = create_draft(
            user,
            element,
            actor="test",
            authentication_type=kind,
            configuration=configuration,
            is_incomplete=True,
        )
        AuthorizationLink.objects.create(
            instance=instance,
            made_by=make_user("mina", is_superuser=True),
            token_digest=sealing.digest("token"),
            expires_at=timezone.now() + timedelta(days=1),
        )
        return "/authorize/token"

    return link_to


def asked(page):
    return {name.removeprefix("configuration.") for name in page.context["form"].fields}


def entered(configuration):
    return {f"configuration.{key}": value for key, value in configuration.items()}


def test_the_account_owner_is_asked_for_credentials_only(link_to):
    path = link_to(shipped("dynamicscrmadfs"), {"dynamics.tenant": "a.crm.dynamics.com"}, "custom")
    assert asked(Client().get(path)) == {"user.username", "user.password"}


def test_the_account_owner_is_asked_for_a_host_that_nobody_entered(link_to):
    path = link_to(shipped("dynamicscrmadfs"), {}, "custom")
    assert asked(Client().get(path)) == {"user.username", "user.password", "dynamics.tenant"}


@pytest.mark.parametrize("sent", [{}, {"base.url": ""}])
def test_other_posted_values_change_nothing(sent, link_to, internet):
    way = PASSWORD_WAY | {"variants": [{"name": "other", "token_endpoint": "{base.url}/other"}]}
    given = {"base.url": PASSWORD["base.url"]} | OWN_CLIENT
    path = link_to(element_of(way), given)
    before = Instance.objects.get().full_configuration()
    foreign = {
        "base.url": "https://evil.example",
        "oauth.api.key": "evil-client",
        "oauth.api.secret": "evil-s3cret",
        "oauth.callback.url": "https://evil.example/",
        "oauth.scope": "everything",
        "oauth.user.token": "t0ken",
        "authentication.variant": "other",
        "authentication.type": "custom",
        "undeclared": "x",
    }
    answer = Client().post(path, entered(foreign | {"username": "ada", "password": "p4ss"} | sent))
    assert "Thank you" in answer.text
    instance = Instance.objects.get()
    assert instance.full_configuration() == before | {"username": "ada", "password": "p4ss"}
    assert set(internet.hosts) == {"crm.example"}
    assert {one.path for one in internet.requests} == {"/token", "/me"}


@pytest.mark.parametrize(
    ("host", "is_taken"),
    [("a.crm.dynamics.com", True), ("evil.example", False), ("listed.example", True)],
)
def test_an_entered_host_must_be_one_of_the_providers(host, is_taken, link_to, internet, user):
    user.organization.private_hosts = {"dynamicscrmadfs": ["listed.example"]}
    user.organization.save()
    path = link_to(shipped("dynamicscrmadfs"), OWN_CLIENT, "custom")
    own = {"user.username": "ada", "user.password": "p4ss", "dynamics.tenant": host}
    answer = Client().post(path, entered(own))
    if is_taken:
        assert "Thank you" in answer.text
    else:
        assert "This is not an address of the service. Correct it." in answer.text
        assert "OAuth app" not in answer.text
        assert internet.requests == []
        assert Instance.objects.get().state == "draft"


def test_with_oauth_the_browser_only_goes_where_the_operator_intended(link_to, user):
    element = shipped("sfdc")
    make_oauth_app(organization=user.organization, element=element)
    path = link_to(element, {})
    answer = Client().post(path, entered({"site.address": "evil.example", "oauth.api.key": "x"}))
    to = urlsplit(answer["Location"])
    assert to.hostname == "login.salesforce.com"
    assert "client_id=client&" in to.query
    assert Instance.objects.get().configuration.keys() <= {"oauth.callback.url"}


@pytest.mark.parametrize(
    ("host", "is_taken"), [("evil.example", False), ("my1.listed.example", True)]
)
def test_not_even_the_account_owners_password_goes_to_an_unlisted_host(
    host, is_taken, link_to, internet, user
):
    user.organization.private_hosts = {"sapc4ccrm": ["*.listed.example"]}
    user.organization.save()
    path = link_to(shipped("sapc4ccrm"), {})
    own = {"username": "ada", "password": "p4ss", "subdomain": host}
    Client().post(path, entered(own))
    assert internet.hosts == ([host] if is_taken else [])
    assert Instance.objects.get().is_connected is is_taken


def test_a_link_changes_nothing_else_whatever_values_it_is_given(link_to, internet):
    link_to(element_of(PASSWORD_WAY), {"base.url": PASSWORD["base.url"]} | OWN_CLIENT)
    foreign = {"base.url": "https://evil.example", "oauth.api.secret": "evil-s3cret"}
    link = AuthorizationLink.objects.get()
    connect_by_link(link, configuration=PASSWORD | foreign)
    assert set(internet.hosts) == {"crm.example"}
    kept = Instance.objects.get().full_configuration()
    assert kept == PASSWORD | OWN_CLIENT
