"""OAuth 1.0a over the API: three calls, between which the client keeps all state (contract 7.3, 8.1)."""

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from instances.models import Instance, Interaction
from tests.conftest import shipped
from tests.support.factories import make_element, make_oauth_app
from tests.support.oauth1_provider import signed_element, signed_way
from tests.support.provider import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.django_db

CALLBACK = "https://app.example/back?next=%2Fhome"
CLIENT = {"apiKey": CLIENT_ID, "apiSecret": CLIENT_SECRET, "callbackUrl": CALLBACK}
CONFIGURATION = {
    "oauth.api.key": CLIENT_ID,
    "oauth.api.secret": CLIENT_SECRET,
    "oauth.callback.url": CALLBACK,
}


@pytest.fixture
def provider(oauth1_provider):
    return oauth1_provider


@pytest.fixture
def signed(api, provider):
    return make_element(signed_element(provider))


def ask(api, path, parameters):
    return api.django.get(
        f"/elements/api-v2/elements/{path}", parameters, headers={"Authorization": api.header}
    )


def authorize(api, provider, **changes):
    """Make the first two calls and authorize in a browser; returns the body of the third call."""
    parameters = CLIENT | changes
    given = ask(api, "signed/oauth/token", parameters).json()
    url = ask(api, "signed/oauth/url", parameters | {"requestToken": given["token"]}).json()
    back = provider.authorize(url["oauthUrl"])
    return {
        "element": {"key": "signed"},
        "name": "Acme",
        "providerData": back | {"secret": given["secret"], "realmId": "12"},
        "configuration": CONFIGURATION,
    }


def test_three_calls_make_an_instance(api, provider, signed):
    body = authorize(api, provider)
    assert body["providerData"]["next"] == "/home"
    created = api.post("instances", body)
    assert created.status_code == 200, created.content
    assert created.json()["valid"] is True
    assert created.json()["element"]["authentication"] == {"type": "oauth1"}
    tokens = Instance.objects.get().tokens.reveal()
    assert provider.token_secrets[tokens["access_token"]] == tokens["token_secret"]
    assert tokens["extra"] == {"realmId": "12", "screen_name": "ada"}
    recorded = str([vars(one) for one in Interaction.objects.all()])
    assert not [one for one in provider.secrets if one in recorded + created.content.decode()]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "signed"), ({"state": "a b/c&d"}, "a b/c&d"), ({"state": ""}, "signed")],
)
def test_the_state_comes_back_by_default_the_elements_key(api, provider, signed, given, expected):
    assert authorize(api, provider, **given)["providerData"]["state"] == expected


def test_the_operators_app_is_authorized_by_two_calls(api, provider, signed):
    make_oauth_app(
        organization=api.user.organization,
        element=signed,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        callback_url=CALLBACK,
    )
    url = ask(api, "signed/oauth/url/default", {"state": "s"}).json()
    secret = url["configuration"]["secret"]
    back = provider.authorize(url["oauthUrl"])
    assert back["state"] == "s"
    body = {"element": {"key": "signed"}, "providerData": back | {"secret": secret}}
    created = api.post("instances", body)
    assert created.status_code == 200, created.content
    assert CLIENT_SECRET not in str(url) + created.content.decode()
    recorded = str([vars(one) for one in Interaction.objects.all()])
    assert secret not in recorded


def test_without_an_app_there_is_no_default_url(api, provider, signed):
    response = ask(api, "signed/oauth/url/default", {})
    assert response.status_code == 400
    assert "apiKey" in response.json()["message"]
    assert not Interaction.objects.exists()


def test_a_state_in_the_callback_url_is_the_callers(api, provider, signed):
    body = authorize(api, provider, callbackUrl="https://app.example/back?state=oauth1", state="x")
    assert body["providerData"]["state"] == "oauth1"


def test_the_authorization_url_carries_the_request_token(api, signed):
    response = ask(api, "900200/oauth/url", CLIENT | {"requestToken": "rt/1"})
    assert response.json()["element"] == "signed"
    query = parse_qs(urlsplit(response.json()["oauthUrl"]).query)
    assert query == {"oauth_token": ["rt/1"], "perms": ["write"]}


def test_a_request_token_is_not_kept_in_caches_and_needs_no_header(api, provider, signed):
    signed.source = "shipped"
    signed.save()
    response = api.django.get("/elements/api-v2/elements/signed/oauth/token", CLIENT)
    assert response["Cache-Control"] == "no-store"
    assert set(response.json()) == {"token", "secret"}


@pytest.mark.parametrize(
    ("path", "parameters", "words"),
    [
        ("signed/oauth/token", {"apiKey": "a"}, "callbackUrl"),
        ("signed/oauth/token", CLIENT | {"apiSecret": ""}, "oauth.api.secret"),
        ("signed/oauth/url", CLIENT, "requestToken"),
        ("keyed/oauth/token", CLIENT, "OAuth 1.0a"),
    ],
)
def test_what_is_missing_or_senseless_is_told(api, provider, signed, path, parameters, words):
    response = ask(api, path, parameters)
    assert response.status_code == 400
    assert words in response.json()["message"]
    assert provider.requests == []


def test_a_refusal_of_the_provider_is_passed_on(api, provider, signed):
    response = ask(api, "signed/oauth/token", CLIENT | {"apiKey": "a-stranger"})
    assert response.status_code == 400
    assert response.json()["providerMessage"] == "oauth_problem=consumer_key_unknown"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"oauth_verifier": "another"}, "Authorize again"),
        ({"oauth_verifier": None}, "You must provide an OAuth code"),
        ({"secret": None}, "providerData lacks secret"),
    ],
)
def test_a_create_that_cannot_be_authorized_leaves_nothing(api, provider, signed, change, message):
    body = authorize(api, provider)
    body["providerData"] |= change
    response = api.post("instances", body)
    assert response.status_code == 400
    assert message in response.json()["message"]
    assert not Instance.objects.exists()


def test_the_same_verifier_again_changes_nothing_and_a_new_one_authenticates_again(
    api, provider, signed
):
    body = authorize(api, provider)
    created = api.post("instances", body).json()
    before = Instance.objects.get().tokens.reveal()
    assert api.put(f"instances/{created['id']}", body).status_code == 200
    assert Instance.objects.get().tokens.reveal() == before
    again = api.put(f"instances/{created['id']}", authorize(api, provider))
    assert (again.json()["id"], again.json()["token"]) == (created["id"], created["token"])
    assert Instance.objects.get().tokens.reveal()["access_token"] != before["access_token"]


def test_tokens_obtained_elsewhere_are_imported_with_their_secret(api, provider, signed):
    body: dict[str, Any] = {
        "element": {"key": "signed"},
        "externalAuthentication": "initial",
        "configuration": {
            "oauth.api.key": CLIENT_ID,
            "oauth.api.secret": CLIENT_SECRET,
            "oauth.user.token": "t0ken-obtained-elsewhere",
        },
    }
    response = api.post("instances", body)
    assert response.json()["message"] == "Missing required configuration: oauth.user.token.secret"
    body["configuration"]["oauth.user.token.secret"] = "s3cret-obtained-elsewhere"
    created = api.post("instances", body).json()
    assert created["externalAuthentication"] == "initial"
    assert created["configuration"]["oauth.user.token.secret"] == "********"
    tokens = Instance.objects.get().tokens.reveal()
    assert tokens["access_token"] == "t0ken-obtained-elsewhere"
    assert tokens["token_secret"] == "s3cret-obtained-elsewhere"
    assert provider.requests == []


def test_an_element_of_both_kinds_takes_what_the_client_brings(api, provider):
    definition = signed_element(provider)
    code_way = signed_way(provider) | {"type": "oauth2", "grant_type": "authorization_code"}
    make_element(definition | {"authentication": [code_way, signed_way(provider)]})
    url = ask(api, "signed/oauth/url", CLIENT).json()["oauthUrl"]
    assert dict(parse_qsl(urlsplit(url).query))["response_type"] == "code"
    body = authorize(api, provider)
    assert api.post("instances", body).json()["element"]["authentication"] == {"type": "oauth1"}
    named = ask(api, "signed/oauth/url", CLIENT | {"authentication.type": "OAuth1"})
    assert "requestToken" in named.json()["message"]


def test_the_shipped_oauth_1_elements_ask_for_a_request_token(api):
    for key in ("twitter", "quickbooks", "etsy"):
        shipped(key)
        response = ask(api, f"{key}/oauth/url", CLIENT | {"requestToken": "rt", "shop.id": "s"})
        assert "oauth_token=rt" in response.json()["oauthUrl"]
