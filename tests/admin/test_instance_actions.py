"""Actions on instances: confirmed first, carried out by a POST, for one and for many."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from instances.models import Authorization, Instance, Interaction
from instances.provisioning.actions import ACTIONS, CERTIFICATE
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.switches import set_enabled
from tests.support.factories import (
    CUSTOM_CONFIGURATION,
    make_instance,
    make_oauth_app,
    make_organization_user,
    make_user,
)

LIST = "/admin/instances/instance/"


def action_url(instance, name):
    return reverse("admin:instances_instance_action", args=[instance.pk, name])


@pytest.fixture
def connected(sandbox, dynamics):
    """An instance that is connected to the sandbox."""
    instance = make_instance(
        organization_user=sandbox,
        element=dynamics,
        name="Contoso",
        authentication_type="custom",
        configuration=CUSTOM_CONFIGURATION,
    )
    return provision_instance(instance, actor="test")


@pytest.fixture
def oauth_draft(dynamics):
    user = make_organization_user()
    make_oauth_app(organization=user.organization, element=dynamics)
    return make_instance(
        organization_user=user,
        element=dynamics,
        name="By consent",
        authentication_type="oauth2",
        configuration={"dynamics.tenant": "yourcompanyname.crm.dynamics.com"},
    )


@pytest.mark.parametrize("name", sorted(ACTIONS.keys() - {CERTIFICATE.name}))
def test_the_confirmation_page_changes_nothing(operator, name):
    instance = make_instance(name="Acme")
    page = operator.get(action_url(instance, name))
    assert "Acme" in page.text
    assert 'method="post"' in page.text
    instance.refresh_from_db()
    assert (instance.state, instance.is_disabled) == ("draft", False)
    assert not Interaction.objects.exists()


@pytest.mark.parametrize("name", list(ACTIONS))
def test_a_post_without_the_csrf_token_is_rejected(db, name):
    instance = make_instance()
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("operator", is_superuser=True))
    assert client.post(action_url(instance, name)).status_code == 403
    assert Instance.objects.get().state == "draft"


def test_provisioning_a_draft_connects_it(operator, sandbox, dynamics):
    instance = make_instance(
        organization_user=sandbox,
        element=dynamics,
        authentication_type="custom",
        configuration=CUSTOM_CONFIGURATION,
    )
    page = operator.post(action_url(instance, "provision"), follow=True)
    instance.refresh_from_db()
    assert instance.state == "connected"
    assert instance.state_changes.latest("pk").actor == "operator"
    assert "is connected." in page.text


def test_a_refused_action_is_a_message_on_the_instances_page(operator, connected):
    page = operator.post(action_url(connected, "provision"), follow=True)
    assert "so this cannot be done now." in page.text
    connected.refresh_from_db()
    assert connected.state == "connected"


def test_checking_asks_the_provider(operator, connected):
    before = Interaction.objects.count()
    page = operator.post(action_url(connected, "check"), follow=True)
    assert "Contoso works." in page.text
    assert Interaction.objects.count() == before + 1


def test_disabling_and_enabling(operator, connected):
    operator.post(action_url(connected, "disable"))
    connected.refresh_from_db()
    assert connected.is_disabled
    page = operator.get(reverse("admin:instances_instance_change", args=[connected.pk])).text
    assert "It is disabled." in page
    operator.post(action_url(connected, "enable"))
    connected.refresh_from_db()
    assert not connected.is_disabled


def test_deleting_removes_the_instance_and_keeps_its_interactions(operator, connected):
    before = Interaction.objects.count()
    answer = operator.post(action_url(connected, "delete"))
    assert answer["Location"] == LIST
    assert not Instance.objects.exists()
    assert Interaction.objects.count() >= before


def test_djangos_own_delete_page_leads_to_ours(operator):
    instance = make_instance()
    answer = operator.post(f"{LIST}{instance.pk}/delete/", {"post": "yes"})
    assert answer["Location"] == action_url(instance, "delete")
    operator.post(
        LIST, {"action": "delete_selected", "_selected_action": instance.pk, "post": "yes"}
    )
    assert Instance.objects.exists()


def test_revealing_shows_the_token_once_and_records_who_saw_it(operator, connected):
    token = connected.token.reveal()
    assert token not in operator.get(action_url(connected, "reveal")).text
    page = operator.post(action_url(connected, "reveal"))
    assert token in page.text
    assert "no-store" in page["Cache-Control"]
    seen = Interaction.objects.latest("pk")
    assert (seen.operation, seen.actor) == ("reveal Element token", "operator")
    after = operator.get(reverse("admin:instances_instance_change", args=[connected.pk])).text
    assert token not in after


def test_revealing_needs_more_than_changing(connected, sign_in):
    client = sign_in("view_instance", "change_instance", "delete_instance")
    assert client.post(action_url(connected, "reveal")).status_code == 403
    assert not Interaction.objects.filter(operation="reveal Element token").exists()


def test_there_is_nothing_to_reveal_on_a_draft(operator):
    page = operator.post(action_url(make_instance(), "reveal"), follow=True)
    assert "has no Element token yet" in page.text


def test_re_authenticating_asks_for_new_secrets_and_keeps_the_rest(operator, connected):
    url = action_url(connected, "reauthenticate")
    form = operator.get(url).text
    assert 'value="user@sandbox.example"' in form
    assert "sandbox-password" not in form
    token = connected.token.reveal()
    data = {f"configuration.{key}": value for key, value in CUSTOM_CONFIGURATION.items()}
    page = operator.post(url, data | {"configuration.user.password": ""}, follow=True)
    assert "Contoso is connected." in page.text
    connected.refresh_from_db()
    assert connected.token.reveal() == token


def test_re_authenticating_with_wrong_credentials_keeps_the_stored_ones(operator, connected):
    data = {f"configuration.{key}": value for key, value in CUSTOM_CONFIGURATION.items()}
    data["configuration.user.password"] = "wr0ng-password"
    page = operator.post(action_url(connected, "reauthenticate"), data, follow=True)
    assert "wr0ng-password" not in page.text
    connected.refresh_from_db()
    assert connected.state == "connected"
    assert connected.full_configuration()["user.password"] == "sandbox-password"


def test_re_authenticating_without_a_required_value_is_an_error_at_its_field(operator, connected):
    page = operator.post(action_url(connected, "reauthenticate"), {})
    assert "configuration.user.username" in page.context["form"].errors
    assert "configuration.user.password" not in page.context["form"].errors


def test_authorizing_sends_this_browser_to_the_provider(operator, oauth_draft):
    answer = operator.post(action_url(oauth_draft, "authorize"))
    sent_to = urlsplit(answer["Location"])
    query = parse_qs(sent_to.query)
    assert sent_to.netloc == "login.microsoftonline.com"
    assert query["code_challenge_method"] == ["S256"]
    cookie = answer.cookies["oauth_browser"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["secure"] == ""
    assert "no-store" in answer["Cache-Control"]
    oauth_draft.refresh_from_db()
    assert oauth_draft.state == "awaiting_authorization"
    authorization = Authorization.objects.get(started_by__username="operator")
    assert query["state"][0] not in str(vars(authorization))


def test_each_authorization_has_its_own_secret(operator, oauth_draft):
    cookies = [
        operator.post(action_url(oauth_draft, "authorize")).cookies["oauth_browser"].value
        for _number in range(30)
    ]
    newest = [cookie.split(".")[0] for cookie in cookies]
    assert len(set(newest)) == 30
    assert len(cookies[-1]) < 1000


def test_with_https_no_other_host_can_set_the_cookie(operator, oauth_draft, settings):
    settings.IS_HTTPS = True
    operator.cookies["oauth_browser"] = planted = "x" * 43
    answer = operator.post(action_url(oauth_draft, "authorize"))
    [name] = answer.cookies
    cookie = answer.cookies[name]
    assert name == "__Host-oauth_browser"
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    assert planted not in cookie.value


def test_correcting_an_oauth_draft_stores_it_and_leads_to_the_provider(operator, oauth_draft):
    url = action_url(oauth_draft, "reauthenticate")
    answer = operator.post(url, {"configuration.dynamics.tenant": "other.crm.dynamics.com"})
    assert answer["Location"].startswith("https://login.microsoftonline.com/")
    oauth_draft.refresh_from_db()
    assert oauth_draft.configuration["dynamics.tenant"] == "other.crm.dynamics.com"


def test_an_action_on_many_asks_first(operator):
    chosen = [make_instance(name=f"Number {n}").pk for n in range(3)]
    page = operator.post(LIST, {"action": "provision", "_selected_action": chosen})
    assert all(f"Number {n}" in page.text for n in range(3))
    assert set(Instance.objects.values_list("state", flat=True)) == {"draft"}


def test_an_action_on_many_runs_in_the_background(operator, sandbox, dynamics):
    chosen = [
        make_instance(
            organization_user=sandbox,
            element=dynamics,
            authentication_type="custom",
            configuration=CUSTOM_CONFIGURATION,
        ).pk
        for _ in range(2)
    ]
    data = {"action": "provision", "_selected_action": chosen, "confirmed": "yes"}
    page = operator.post(LIST, data, follow=True)
    assert "Connect: 2 instances in progress." in page.text
    assert set(Instance.objects.values_list("state", flat=True)) == {"connected"}


@pytest.mark.parametrize(("name", "is_disabled"), [("disable", True), ("enable", False)])
def test_many_are_enabled_and_disabled(operator, connected, name, is_disabled):
    set_enabled(connected, is_enabled=is_disabled, actor="test")
    data = {"action": name, "_selected_action": [connected.pk], "confirmed": "yes"}
    operator.post(LIST, data)
    connected.refresh_from_db()
    assert connected.is_disabled is is_disabled


def test_an_action_on_many_needs_its_permission(sign_in):
    instance = make_instance()
    client = sign_in("view_instance", "change_instance")
    client.post(LIST, {"action": "delete", "_selected_action": [instance.pk], "confirmed": "yes"})
    assert Instance.objects.exists()


def test_too_many_at_once_are_rejected(operator, monkeypatch):
    monkeypatch.setattr("instances.admin.instance_confirmations.MAX_AT_ONCE", 1)
    chosen = [make_instance().pk, make_instance().pk]
    data = {"action": "provision", "_selected_action": chosen, "confirmed": "yes"}
    page = operator.post(LIST, data, follow=True)
    assert "Select at most 1 instances at once." in page.text
    assert set(Instance.objects.values_list("state", flat=True)) == {"draft"}
