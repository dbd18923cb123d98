"""OAuth 2.0 against a provider that really listens: RFC 6749, RFC 7636."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from instances import errors
from instances.platforms.base import TokenSet
from instances.platforms.embedded import oauth2
from tests.platforms.conftest import CALLBACK_URL, CLIENT, CLIENT_FIELDS
from tests.platforms.embedded.conftest import CODE, CODE_VERIFIER, consented, recorded
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME


def test_a_password_grant_gets_tokens_and_proves_them(
    platform, provider, make_draft, password_way, password_configuration
):
    created = platform.create_instance(make_draft(password_way, password_configuration))
    token_request, probe_request = provider.requests
    assert token_request.form == {
        "grant_type": "password",
        "username": USERNAME,
        "password": PASSWORD,
        "resource": "https://acme.example",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    assert probe_request.headers["authorization"] == f"Bearer {created.tokens.access_token}"
    assert created.tokens.refresh_token in provider.refresh_tokens
    assert created.tokens.extra == {"instance_url": provider.url}
    assert (
        timedelta(minutes=59)
        < created.tokens.expires_at - datetime.now(UTC)
        < timedelta(minutes=61)
    )
    assert not [one for one in provider.secrets if one in recorded()]


def test_a_wrong_password_at_the_token_endpoint_is_refused(
    platform, make_draft, password_way, password_configuration
):
    draft = make_draft(password_way, password_configuration | {"user.password": "not-the-one"})
    with pytest.raises(errors.CredentialsRefusedError):
        platform.create_instance(draft)


def test_a_password_grant_without_a_client_names_what_is_missing(
    platform, provider, make_draft, password_way
):
    draft = make_draft(password_way, {"user.username": USERNAME, "user.password": PASSWORD})
    with pytest.raises(errors.MissingConfigurationError) as caught:
        platform.create_instance(draft)
    assert caught.value.keys == ["oauth.api.key"]
    assert provider.requests == []


def test_a_public_client_names_itself_without_a_secret(
    platform, provider, make_draft, password_way, password_configuration
):
    configuration = {k: v for k, v in password_configuration.items() if k != "oauth.api.secret"}
    with pytest.raises(errors.ClientRefusedError):
        platform.create_instance(make_draft(password_way, configuration))
    assert provider.last.form["client_id"] == CLIENT_ID
    assert "client_secret" not in provider.last.form


def test_client_credentials_get_tokens(platform, provider, make_draft, password_way):
    way = password_way | {
        "grant_type": "client_credentials",
        "username_key": None,
        "password_key": None,
    }
    way["fields"] = CLIENT_FIELDS
    way["token_params"] = {}
    way["token_endpoint_auth_method"] = "client_secret_basic"
    platform.create_instance(make_draft(way, CLIENT))
    assert provider.requests[0].form == {"grant_type": "client_credentials"}
    assert provider.requests[0].headers["authorization"].startswith("Basic ")


def test_the_authorization_url_carries_all_that_rfc_6749_and_7636_ask_for(
    platform, provider, code_draft
):
    url = platform.oauth_url(code_draft, state="state-of-this-trip")
    assert url.startswith(f"{provider.url}/authorize?")
    query = dict(parse_qsl(urlsplit(url).query))
    challenge = query.pop("code_challenge")
    assert len(challenge) == 43
    assert query == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK_URL,
        "scope": "read write",
        "state": "state-of-this-trip",
        "code_challenge_method": "S256",
    }
    assert provider.requests == []


def test_scopes_parameters_and_pkce_are_the_elements_choice(platform, make_draft, code_way):
    way = code_way | {
        "pkce": False,
        "scope_separator": ",",
        "authorize_params": {"access_type": "offline"},
    }
    draft = make_draft(way, CODE, code_verifier=CODE_VERIFIER)
    query = dict(parse_qsl(urlsplit(platform.oauth_url(draft, state="s")).query))
    assert (query["scope"], query["access_type"]) == ("read,write", "offline")
    assert "code_challenge" not in query
    asked = make_draft(way, CODE | {"oauth.scope": "only.this"})
    assert "scope=only.this&" in platform.oauth_url(asked, state="s")


def test_a_code_is_exchanged_with_its_verifier_and_redirect_uri(platform, provider, code_draft):
    draft = consented(platform, provider, code_draft)
    created = platform.create_instance(draft)
    assert provider.requests[0].form == {
        "grant_type": "authorization_code",
        "code": draft.provider_data["code"],
        "redirect_uri": CALLBACK_URL,
        "code_verifier": CODE_VERIFIER,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    assert created.tokens.access_token in provider.access_tokens
    assert not [one for one in {*provider.secrets, CODE_VERIFIER} if one in recorded()]


def test_what_the_callback_brought_is_kept_for_later_addresses(
    platform, provider, make_draft, code_way
):
    way = code_way | {
        "probe": {"url": f"{provider.url}/probe?company={{realmId}}", "scheme": "bearer"}
    }
    draft = consented(platform, provider, make_draft(way, CODE, code_verifier=CODE_VERIFIER))
    came_back = {**draft.provider_data, "realmId": "9130/1", "oauth.api.key": "of-a-stranger"}
    created = platform.create_instance(replace(draft, provider_data=came_back))
    assert provider.last.query == {"company": "9130/1"}
    assert created.tokens.extra == {"realmId": "9130/1", "instance_url": provider.url}
    platform.get_instance(replace(draft, tokens=created.tokens, provider_data={}))
    assert provider.last.query == {"company": "9130/1"}


def test_a_code_works_once(platform, provider, code_draft):
    draft = consented(platform, provider, code_draft)
    platform.create_instance(draft)
    with pytest.raises(errors.GrantRejectedError) as caught:
        platform.create_instance(draft)
    assert caught.value.provider_message == "No good any more."


def test_a_code_with_another_verifier_is_rejected(platform, provider, code_draft):
    draft = replace(consented(platform, provider, code_draft), code_verifier="x" * 43)
    with pytest.raises(errors.GrantRejectedError):
        platform.create_instance(draft)


def test_without_a_code_nothing_is_sent(platform, provider, code_draft):
    with pytest.raises(errors.MissingCodeError):
        platform.create_instance(code_draft)
    assert provider.requests == []


def test_a_wrong_client_is_told_from_a_wrong_account(platform, provider, make_draft, code_way):
    draft = make_draft(
        code_way, CODE | {"oauth.api.secret": "not-the-one"}, code_verifier=CODE_VERIFIER
    )
    with pytest.raises(errors.ClientRefusedError):
        platform.create_instance(consented(platform, provider, draft))


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, "<html>Sign in</html>", "SignInPageError"),
        (200, "Hello", "UnusableAnswerError"),
        (200, {"token_type": "Bearer"}, "UnusableAnswerError"),
        (200, {"access_token": ""}, "UnusableAnswerError"),
        (200, [], "UnusableAnswerError"),
        (200, {"error": "invalid_grant"}, "GrantRejectedError"),
        (400, {"error": "unauthorized_client"}, "ClientRefusedError"),
        (400, {"error": "invalid_scope"}, "RefusedError"),
        (400, {"error": {"message": "no"}}, "RefusedError"),
        (400, "<html>Bad request</html>", "GrantRejectedError"),
        (401, "", "GrantRejectedError"),
        (401, {"message": "no"}, "GrantRejectedError"),
        (400, {"error": "temporarily_unavailable"}, "ProviderFaultError"),
        (408, "", "ProviderFaultError"),
        (403, {"error": "invalid_grant"}, "GrantRejectedError"),
        (403, {"error": "access_denied"}, "AccessForbiddenError"),
        (429, "", "RateLimitedError"),
        (503, "<html>Maintenance</html>", "ProviderFaultError"),
    ],
)
def test_each_answer_of_a_token_endpoint_means_one_thing(
    platform, provider, code_draft, status, answer, kind
):
    draft = consented(platform, provider, code_draft)
    provider.override = (status, answer)
    with pytest.raises(errors.PlatformError) as caught:
        platform.create_instance(draft)
    assert type(caught.value).__name__ == kind
    assert str(caught.value).startswith(f"{draft.label}: Loopback ")


@pytest.mark.parametrize(
    ("status", "answer", "sentence"),
    [
        (
            400,
            {"error": "invalid_grant"},
            "Loopback rejected the authorization code (HTTP 400, invalid_grant): it expired or was already used. "
            "Authorize again.",
        ),
        (
            401,
            {"error": "invalid_client"},
            "Loopback rejected the OAuth client (HTTP 401, invalid_client): its ID or secret is wrong. Correct them.",
        ),
        (
            400,
            {"error": "words of the provider"},
            "Loopback rejected the request (Exchange code, HTTP 400). Open the recorded exchange and correct what it "
            "complains about.",
        ),
        (
            503,
            "words of the provider",
            "Loopback failed with a server error (Exchange code, HTTP 503). Try again later.",
        ),
    ],
)
def test_a_refusal_is_one_sentence_with_the_provider_the_status_and_what_to_do(
    platform, provider, code_draft, status, answer, sentence
):
    draft = consented(platform, provider, code_draft)
    provider.override = (status, answer)
    with pytest.raises(errors.PlatformError) as caught:
        platform.create_instance(draft)
    assert str(caught.value) == f"{draft.label}: {sentence}"


@pytest.mark.parametrize(
    "expires_in", ["soon", None, {}, 1e300, -1e300, "-99999999999", -1, "3600"]
)
def test_a_strange_lifetime_does_not_lose_the_grant(platform, provider, code_draft, expires_in):
    draft = consented(platform, provider, code_draft)
    provider.override = (200, {"access_token": "a-token", "expires_in": expires_in})
    created = platform.create_instance(draft)
    assert (created.tokens.expires_at is not None) == (expires_in == "3600")


def test_a_refresh_token_is_kept_where_the_provider_sends_no_new_one(provider, code_draft):
    provider.override = (200, {"access_token": "a-new-access-token"})
    tokens = TokenSet("old", "the-refresh-token", extra={"realmId": "1"})
    renewed = oauth2.refresh_token(replace(code_draft, tokens=tokens))
    assert renewed == TokenSet("a-new-access-token", "the-refresh-token", extra={"realmId": "1"})
    assert "the-refresh-token" not in recorded()


def test_an_organization_may_have_other_endpoints(
    platform, provider, make_draft, code_way, settings
):
    settings.PUBLIC_URL = provider.url
    way = code_way | {
        "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": "https://login.example/token",
    }
    draft = make_draft(way, CODE, code_verifier=CODE_VERIFIER)
    draft.organization.endpoint_overrides = {"loopback": {"https://login.example/": "/"}}
    created = platform.create_instance(consented(platform, provider, draft))
    assert created.tokens.access_token in provider.access_tokens


def test_an_endpoint_that_nobody_knows_is_told(platform, make_draft, code_way):
    draft = make_draft(code_way | {"authorization_endpoint": None, "endpoints": "unknown"}, CODE)
    with pytest.raises(errors.CatalogueError, match="authorization_endpoint"):
        platform.oauth_url(draft, state="s")


def test_a_password_grant_signs_in_again_when_its_refresh_token_is_dead(
    platform, provider, make_draft, password_way, password_configuration
):
    draft = make_draft(password_way, password_configuration)
    tokens = platform.create_instance(draft).tokens
    provider.refresh_tokens.clear()
    renewed = platform.refresh_tokens(replace(draft, tokens=tokens))
    assert renewed.access_token in provider.access_tokens - {tokens.access_token}


def test_a_dead_refresh_token_and_a_changed_password_are_a_refusal(
    platform, provider, make_draft, password_way, password_configuration
):
    draft = make_draft(password_way, password_configuration)
    tokens = platform.create_instance(draft).tokens
    provider.refresh_tokens.clear()
    changed = password_configuration | {"user.password": "not-the-one"}
    with pytest.raises(errors.CredentialsRefusedError):
        platform.refresh_tokens(replace(draft, tokens=tokens, configuration=changed))
