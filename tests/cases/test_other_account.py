"""Authorizing again as another account at the provider (case 144): nothing is replaced before somebody confirms."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.models import Authorization, Instance, Interaction, OAuthApp, StateChange
from instances.provisioning.oauth.other_account import forget_unconfirmed
from instances.provisioning.plan import default_callback_url
from tests.cases.conftest import CLIENT
from tests.cases.trips import as_operator, by_link
from tests.support.factories import make_instance, make_oauth_app, make_user

OTHERS = [
    ("144-realm-switch", "realmId 1111", "realmId 9999"),
    ("144b-id-token-of-another", "id_token.sub ada", "id_token.sub bob"),
    ("144c-user-id-of-another", "user_id 1", "user_id 2"),
    ("144d-team-of-another", "team.id T1", "team.id T2"),
    ("144e-probe-of-another", "UserId u1", "UserId u2"),
    ("144f-salesforce-identity", "00D1/0051", "00D2/0052"),
]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connected(connect):
    """Connect an instance of a case by an operator's first trip."""

    def connected(case):
        connect.api.user.user = make_user("ada", is_superuser=True)
        connect.api.user.save()
        instance = make_instance(
            organization_user=connect.api.user,
            element=connect.element("stub-realm" if "realm" in case else "stub-code"),
            name="Contoso",
            configuration=CLIENT
            | {"stub.case": case, "oauth.callback.url": default_callback_url()},
        )
        as_operator(instance).come_back()
        instance.refresh_from_db()
        assert instance.is_connected
        return instance

    return connected


@pytest.fixture(params=[by_link, as_operator])
def begin(request):
    return request.param


def tokens_of(instance):
    return Instance.objects.get(pk=instance.pk).tokens.reveal()


def answer(browser, **data):
    """Press a button of the page that asks."""
    return browser.client.post(
        reverse("other_account", args=[Authorization.objects.first().pk]), data
    )


@pytest.mark.parametrize(("case", "known", "authorized"), OTHERS)
def test_another_account_replaces_nothing_before_it_is_confirmed(
    connected, begin, case, known, authorized
):
    instance = connected(case)
    before = tokens_of(instance)
    browser = begin(instance)
    page = browser.come_back()
    assert page.status_code == 200
    for words in (known, authorized, "Nothing has been replaced yet", "Use the other account"):
        assert words in page.text
    assert tokens_of(instance) == before
    assert Authorization.objects.first().outcome == "confirming"
    answer(browser, use="")
    assert tokens_of(instance)["access_token"] == "tok-2"
    instance.refresh_from_db()
    assert instance.is_connected
    assert authorized in StateChange.objects.first().reason
    trip = Authorization.objects.first()
    assert (trip.outcome, bool(trip.other_account)) == ("completed", False)
    # The confirmed account is the known one now.
    assert begin(instance).come_back().status_code != 409
    assert Authorization.objects.first().outcome == "completed"


def test_the_current_account_may_be_kept(connected, begin):
    instance = connected("144-realm-switch")
    before = tokens_of(instance)
    browser = begin(instance)
    browser.come_back()
    kept = answer(browser, keep="")
    if begin is by_link:
        assert "Nothing was changed" in kept.text
    else:
        assert "Contoso keeps its current account." in browser.client.get(kept["Location"]).text
    trip = Authorization.objects.first()
    assert (trip.outcome, bool(trip.other_account)) == ("denied", False)
    assert tokens_of(instance) == before
    assert answer(browser, use="").status_code == 400
    assert tokens_of(instance) == before


def test_the_new_tokens_are_sealed_and_dropped_in_time(connected, begin):
    instance = connected("144-realm-switch")
    browser = begin(instance)
    browser.come_back()
    trip = Authorization.objects.first()
    assert trip.other_account.reveal()["tokens"]["access_token"] == "tok-2"
    assert "tok-2" not in trip.other_account.ciphertext
    assert "tok-2" not in str([vars(one) for one in Interaction.objects.all()])
    assert forget_unconfirmed() == 0
    Authorization.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    late = answer(browser, use="")
    assert (late.status_code, tokens_of(instance)["access_token"]) == (410, "tok-1")
    assert forget_unconfirmed() == 1
    trip.refresh_from_db()
    assert (trip.outcome, bool(trip.other_account)) == ("failed", False)
    assert answer(browser, use="").status_code == 400


def test_nobody_else_can_confirm(connected, begin):
    instance = connected("144-realm-switch")
    begin(instance).come_back()
    stranger, operator = Client(), Client()
    operator.force_login(make_user("root", is_superuser=True))
    url = reverse("other_account", args=[Authorization.objects.first().pk])
    for client in (stranger, operator):
        assert client.post(url, {"use": ""}).status_code == 403
    assert stranger.get(url).status_code == 405
    assert tokens_of(instance)["access_token"] == "tok-1"


def test_tokens_of_another_configuration_than_todays_are_dropped(connected, begin):
    instance = connected("144-realm-switch")
    browser = begin(instance)
    browser.come_back()
    moved = instance.configuration | {"stub.case": "144b-id-token-of-another"}
    Instance.objects.filter(pk=instance.pk).update(configuration=moved)
    page = answer(browser, use="")
    assert page.status_code == 409
    assert tokens_of(instance)["access_token"] == "tok-1"
    trip = Authorization.objects.first()
    assert (trip.outcome, bool(trip.other_account)) == ("failed", False)


def test_tokens_of_another_oauth_app_than_todays_are_dropped(connected, begin):
    instance = connected("144-realm-switch")
    own = {k: v for k, v in instance.configuration.items() if not k.startswith("oauth.")}
    Instance.objects.filter(pk=instance.pk).update(
        configuration=own, secret_configuration="", secret_keys=[]
    )
    instance = Instance.objects.get(pk=instance.pk)
    app = make_oauth_app(organization=instance.organization, element=instance.element)
    browser = begin(instance)
    browser.come_back()
    assert Authorization.objects.first().outcome == "confirming"
    OAuthApp.objects.filter(pk=app.pk).update(client_id="another-client")
    assert answer(browser, use="").status_code == 409
    assert tokens_of(instance)["access_token"] == "tok-1"


def test_operators_who_may_no_longer_change_the_instance_confirm_nothing(connected):
    instance = connected("144-realm-switch")
    browser = as_operator(instance)
    browser.come_back()
    User.objects.update(is_superuser=False)
    page = answer(browser, use="")
    assert (page.status_code, "do not have permission" in page.text) == (400, True)
    assert tokens_of(instance)["access_token"] == "tok-1"
    assert Authorization.objects.first().outcome == "confirming"


@pytest.mark.parametrize("case", ["144g-same-account", "144h-nothing-known"])
def test_nobody_is_asked_for_the_same_account(connected, begin, case):
    instance = connected(case)
    begin(instance).come_back()
    assert tokens_of(instance)["access_token"] == "tok-2"
    assert Authorization.objects.first().outcome == "completed"


def test_an_instance_of_an_older_release_knows_what_the_callback_brought(connected):
    instance = connected("144-realm-switch")
    Instance.objects.update(account_identity=None)
    page = as_operator(instance).come_back()
    assert "realmId 1111" in page.text
    assert tokens_of(instance)["access_token"] == "tok-1"


def test_a_check_learns_the_account_of_an_instance_of_an_older_release(connected):
    instance = connected("144i-account-known-by-a-check")
    Instance.objects.update(account_identity=None, next_action_at=timezone.now())
    call_command("check_instances")
    instance.refresh_from_db()
    assert instance.account_identity == {"UserId": "u1"}
    assert [part.value for part in instance.account_parts.all()] == ["u1"]
    assert Instance.objects.of_account(instance.account_digest).get() == instance
    assert "UserId u2" in as_operator(instance).come_back().text
    assert tokens_of(instance)["access_token"] == "tok-1"


def test_api_clients_get_a_clear_error(connect, connected):
    instance = connected("144c-user-id-of-another")
    code = {"providerData": {"code": "another-code"}}
    response = connect.api.put(f"instances/{instance.pk}", code)
    assert response.status_code == 409
    message = response.json()["message"]
    assert "another account was authorized than before (user_id 2; before: user_id 1)" in message
    assert "Nothing was replaced." in message
    assert tokens_of(instance)["access_token"] == "tok-1"
