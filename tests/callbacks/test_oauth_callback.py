"""The OAuth callback, with every way that an authorization can end."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from instances.models import Authorization, Instance, Interaction, OAuthApp
from instances.provisioning.oauth.authorize import begin_authorization
from tests.support.factories import make_instance, make_user

CALLBACK = "/oauth/callback"


@pytest.fixture
def operator(db):
    client = Client()
    client.force_login(make_user("operator", is_superuser=True))
    return client


@pytest.fixture
def instance(sandbox, dynamics):
    return make_instance(
        organization_user=sandbox,
        element=dynamics,
        name="Contoso",
        authentication_type="oauth2",
        configuration={"dynamics.tenant": "yourcompanyname.crm.dynamics.com"},
    )


@pytest.fixture
def provider_url(operator, instance):
    """The address that the browser was sent to."""
    url = reverse("admin:instances_instance_action", args=[instance.pk, "authorize"])
    return operator.post(url)["Location"]


@pytest.fixture
def state(provider_url):
    return parse_qs(urlsplit(provider_url).query)["state"][0]


def issuer(settings):
    return f"{settings.PUBLIC_URL}/sandbox"


def decide(provider_url, decision):
    """Sign in at the sandbox and decide there; returns the callback's path and query."""
    parts = urlsplit(provider_url)
    path = f"{parts.path}?{parts.query}"
    account_owner = Client(SERVER_NAME=parts.hostname, SERVER_PORT=str(parts.port))
    account_owner.post(path, {"username": SANDBOX_USERNAME, "password": SANDBOX_PASSWORD})
    back = urlsplit(account_owner.post(path, {"decision": decision})["Location"])
    return f"{back.path}?{back.query}"


def answer_of(provider_url):
    """Allow access at the sandbox; returns the parameters that it sends to the callback."""
    query = parse_qs(urlsplit(decide(provider_url, "allow")).query)
    return {name: value for name, [value] in query.items()}


def test_coming_back_with_a_code_connects_the_instance(operator, instance, provider_url):
    back = decide(provider_url, "allow")
    answer = operator.get(back)
    assert answer["Location"] == reverse("admin:instances_instance_change", args=[instance.pk])
    assert "Contoso is connected." in operator.get(answer["Location"]).text
    instance.refresh_from_db()
    assert instance.state == "connected"
    assert Authorization.objects.get().outcome == "completed"


def test_authorizing_again_keeps_id_and_token(operator, instance, provider_url):
    operator.get(decide(provider_url, "allow"))
    token = Instance.objects.get().token.reveal()
    url = reverse("admin:instances_instance_action", args=[instance.pk, "authorize"])
    operator.get(decide(operator.post(url)["Location"], "allow"))
    again = Instance.objects.get()
    assert (again.pk, again.token.reveal(), again.state) == (instance.pk, token, "connected")


def test_a_denial_is_shown_with_a_link_back(operator, instance, provider_url):
    page = operator.get(decide(provider_url, "deny"))
    assert page.status_code == 403
    assert "Access declined" in page.text
    assert "Back to Contoso" in page.text
    instance.refresh_from_db()
    assert instance.state == "failed"


def test_a_state_works_only_once(operator, provider_url):
    back = decide(provider_url, "allow")
    assert [operator.get(back).status_code, operator.get(back).status_code] == [302, 409]


def test_an_expired_state_is_rejected(operator, state):
    Authorization.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    page = operator.get(CALLBACK, {"state": state, "code": "c0de-that-came"})
    assert page.status_code == 410
    assert "timed out after 10 minutes" in page.text


def test_a_rejected_code_is_a_failed_instance(operator, instance, state, settings):
    query = {"state": state, "code": "c0de-that-is-wrong", "iss": issuer(settings)}
    page = operator.get(CALLBACK, query)
    assert page.status_code == 400
    instance.refresh_from_db()
    assert (instance.state, instance.cause) == ("failed", "grant_rejected")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"code": "c0de"}, 400),
        ({"state": "never-given-out", "code": "c0de"}, 400),
        ({"state": "x" * 100_000}, 400),
    ],
)
def test_a_callback_without_an_authorization_is_rejected(operator, query, status):
    page = operator.get(CALLBACK, query)
    assert page.status_code == status
    assert "Go to Instance Manager" in page.text
    assert Interaction.objects.get().operation == "OAuth callback"


def test_an_error_of_the_provider_is_shown(operator, instance, state, settings):
    query = {"state": state, "error": "server_error", "error_description": "we are closed"}
    page = operator.get(CALLBACK, query | {"iss": issuer(settings)})
    assert page.status_code == 502
    assert "we are closed" in page.text


def state_issuer(instance, **stated):
    """Set values of the element's ways of authentication, as its file would."""
    for way in instance.element.definition["authentication"]:
        way.update(stated)
    instance.element.save()


@pytest.mark.parametrize("sends_iss", [True, False])
@pytest.mark.parametrize(
    "iss",
    [
        "https://mallory.example",
        "https://issuer.example/",
        "https://ISSUER.example",
        "https://issuer.example:443",
        "issuer.example",
        "",
    ],
)
def test_a_response_of_another_issuer_is_rejected(operator, instance, state, iss, sends_iss):
    state_issuer(instance, issuer="https://issuer.example", sends_iss=sends_iss)
    query = {"state": state, "code": "c0de-that-came", "iss": iss}
    page = operator.get(CALLBACK, query)
    assert page.status_code == 400
    assert "does not come from https://issuer.example" in page.text
    assert "its code was not used" in page.text
    assert "Back to Contoso" in page.text
    recorded = Interaction.objects.get()
    assert (recorded.operation, recorded.direction) == ("OAuth callback", "in")
    assert "does not come from" in recorded.error
    assert "c0de-that-came" not in str(vars(recorded))
    instance.refresh_from_db()
    assert (instance.state, instance.cause) == ("failed", "issuer_mismatch")
    assert Authorization.objects.get().outcome == "failed"


def test_a_response_without_its_issuer_is_rejected_if_the_provider_always_sends_it(
    operator, instance, state
):
    state_issuer(instance, issuer="https://issuer.example", sends_iss=True)
    page = operator.get(CALLBACK, {"state": state, "code": "c0de-that-came"})
    assert page.status_code == 400
    assert "does not name its issuer, which https://issuer.example always does" in page.text
    assert not Interaction.objects.filter(direction="out").exists()
    instance.refresh_from_db()
    assert instance.state == "failed"


def test_a_response_without_its_issuer_is_accepted_if_the_issuer_is_optional(
    operator, instance, provider_url
):
    state_issuer(instance, issuer="https://issuer.example")
    answer = answer_of(provider_url)
    del answer["iss"]
    assert operator.get(CALLBACK, answer).status_code == 302
    instance.refresh_from_db()
    assert instance.state == "connected"


@pytest.mark.parametrize(("tenant", "state"), [("new", "connected"), ("other", "failed")])
def test_an_issuer_may_contain_the_tenant(operator, instance, tenant, state):
    state_issuer(instance, issuer="https://login.example/{dynamics.tenant}/v2.0", sends_iss=True)
    trip = reauthenticate(operator, instance, **{"dynamics.tenant": "new.crm.dynamics.com"})
    iss = f"https://login.example/{tenant}.crm.dynamics.com/v2.0"
    operator.get(CALLBACK, answer_of(trip) | {"iss": iss})
    instance.refresh_from_db()
    assert instance.state == state


def test_a_connection_survives_a_response_of_another_issuer(operator, instance, provider_url):
    operator.get(decide(provider_url, "allow"))
    state_issuer(instance, issuer="https://issuer.example")
    trip = reauthenticate(operator, instance, **{"dynamics.tenant": "new.crm.dynamics.com"})
    assert operator.get(CALLBACK, answer_of(trip)).status_code == 400
    instance.refresh_from_db()
    assert instance.state == "connected"
    assert instance.configuration["dynamics.tenant"] == "yourcompanyname.crm.dynamics.com"


def test_no_issuer_is_assumed_for_the_authorization_endpoint_of_a_variant(
    operator, instance, state
):
    state_issuer(instance, issuer="https://issuer.example", sends_iss=True)
    variant = {"authentication.variant": "adfs", "dynamics.adfs.host": "adfs.example"}
    Instance.objects.update(configuration=instance.configuration | variant)
    page = operator.get(CALLBACK, {"state": state, "error": "access_denied"})
    assert "Access declined" in page.text


@pytest.mark.parametrize(
    ("iss", "is_refused"),
    [("https://issuer.example", True), ("https://other.example", False), (None, True)],
)
def test_the_issuer_is_that_of_the_variant_that_the_trip_chose(
    operator, instance, provider_url, iss, is_refused
):
    operator.get(decide(provider_url, "allow"))
    state_issuer(instance, issuer="https://issuer.example", sends_iss=True)
    for way in instance.element.definition["authentication"]:
        for variant in way.get("variants", []):
            variant.update(issuer="https://other.example", sends_iss=True)
    instance.element.save()
    OAuthApp.objects.update(hosts=["adfs.example"])
    adfs = {"authentication.variant": "adfs", "dynamics.adfs.host": "adfs.example"}
    instance.refresh_from_db()
    user, secret = User.objects.get(username="operator"), "s" * 43
    trip = begin_authorization(instance, user=user, browser_secret=secret, configuration=adfs)
    operator.cookies["oauth_browser"] = secret
    answer = {"state": parse_qs(urlsplit(trip.url).query)["state"][0], "error": "access_denied"}
    page = operator.get(CALLBACK, answer | ({"iss": iss} if iss else {}))
    assert ("https://other.example" in page.text) == is_refused
    assert ("Access declined" in page.text) != is_refused


def test_another_browser_and_another_user_are_rejected(instance, state):
    query = {"state": state, "code": "c0de-that-came"}
    other_browser = Client()
    assert other_browser.get(CALLBACK, query).status_code == 403
    other_person = Client()
    other_person.force_login(make_user("mallory"))
    page = other_person.get(CALLBACK, query)
    assert page.status_code == 403
    assert "Back to" not in page.text
    instance.refresh_from_db()
    assert instance.state == "awaiting_authorization"


def test_another_person_in_the_same_browser_is_refused(operator, instance, provider_url):
    back = decide(provider_url, "allow")
    other_person = Client()
    other_person.force_login(make_user("mallory", is_superuser=True))
    other_person.cookies["oauth_browser"] = operator.cookies["oauth_browser"].value
    assert other_person.get(back).status_code == 403
    instance.refresh_from_db()
    assert instance.state == "awaiting_authorization"
    assert operator.get(back).status_code == 302


def test_the_same_browser_is_refused_once_nobody_is_signed_in(operator, instance, provider_url):
    back = decide(provider_url, "allow")
    del operator.cookies["sessionid"]
    assert operator.get(back).status_code == 403
    instance.refresh_from_db()
    assert instance.state == "awaiting_authorization"


@pytest.mark.parametrize("is_https", [True, False])
@pytest.mark.parametrize("planted", ["planted", "x" * 43, "x" * 43 + ".planted"])
def test_a_planted_cookie_has_no_effect(operator, instance, settings, is_https, planted):
    settings.IS_HTTPS = is_https
    names = ("oauth_browser", "__Host-oauth_browser")
    for name in names:
        operator.cookies[name] = planted
    url = reverse("admin:instances_instance_action", args=[instance.pk, "authorize"])
    back = decide(operator.post(url)["Location"], "allow")
    stranger = Client()
    stranger.force_login(User.objects.get(username="operator"))
    for name in names:
        stranger.cookies[name] = planted
    assert stranger.get(back).status_code == 403
    assert operator.get(back).status_code == 302


def test_several_authorizations_in_one_browser_all_come_back(operator, instance):
    urls = []
    for _number in range(3):
        url = reverse("admin:instances_instance_action", args=[instance.pk, "authorize"])
        urls.append(operator.post(url)["Location"])
    for url in reversed(urls):
        assert operator.get(decide(url, "deny")).status_code == 403
        assert operator.get(decide(url, "deny")).status_code == 409


def test_the_secret_of_an_authorization_is_worthless_once_it_is_used(operator, provider_url):
    stolen = operator.cookies["oauth_browser"].value
    back = decide(provider_url, "allow")
    renewed = operator.get(back).cookies["oauth_browser"].value
    assert stolen not in renewed
    thief = Client()
    thief.force_login(User.objects.get(username="operator"))
    thief.cookies["oauth_browser"] = stolen
    assert thief.get(back).status_code == 403
    assert operator.get(back).status_code == 409


def test_the_first_of_repeated_parameters_counts(operator, state):
    page = operator.get(f"{CALLBACK}?state={state}&state=other&error=access_denied")
    assert page.status_code == 403
    assert "was not started here" not in page.text


def test_the_page_keeps_the_code_to_itself(operator, state):
    page = operator.get(CALLBACK, {"state": state, "code": "c0de-that-came", "iss": "elsewhere"})
    assert page.status_code == 400
    assert page["Referrer-Policy"] == "strict-origin"
    assert "no-store" in page["Cache-Control"]
    assert page["Content-Security-Policy"].startswith("default-src 'self';")
    for secret in (state, "c0de-that-came"):
        assert secret not in page.text
        assert secret not in str(list(Interaction.objects.values_list()))


def test_a_callback_is_a_get_or_a_form(client, db):
    assert client.post(CALLBACK, {"state": "s"})["Location"] == f"{CALLBACK}?state=s"
    for method in ("HEAD", "PUT", "DELETE"):
        assert client.generic(method, CALLBACK).status_code == 405


def reauthenticate(operator, instance, **changed):
    """Re-authenticate in the admin with changed configuration; returns the provider's address."""
    url = reverse("admin:instances_instance_action", args=[instance.pk, "reauthenticate"])
    return operator.post(url, {f"configuration.{key}": value for key, value in changed.items()})[
        "Location"
    ]


@pytest.mark.parametrize(
    ("decision", "tenant"),
    [("deny", "yourcompanyname.crm.dynamics.com"), ("allow", "yourcompanyname.crm4.dynamics.com")],
)
def test_changed_configuration_is_saved_only_when_the_authorization_succeeds(
    operator, instance, provider_url, decision, tenant
):
    operator.get(decide(provider_url, "allow"))
    changed = {"dynamics.tenant": "yourcompanyname.crm4.dynamics.com"}
    trip = reauthenticate(operator, instance, **changed)
    assert Instance.objects.get().configuration["dynamics.tenant"] != changed["dynamics.tenant"]
    operator.get(decide(trip, decision))
    row = Instance.objects.get()
    assert (row.state, row.configuration["dynamics.tenant"]) == ("connected", tenant)
