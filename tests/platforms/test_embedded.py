"""This program as the platform: every way of authentication against a provider that really listens."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from instances import errors
from instances.models import Interaction
from instances.platforms.base import TokenSet
from instances.platforms.embedded import EmbeddedPlatform, oauth2
from instances.platforms.registry import platform_for
from tests.factories import make_organization
from tests.platforms.conftest import CALLBACK_URL, CLIENT, CLIENT_FIELDS
from tests.provider import API_KEY, CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME

CODE_VERIFIER = "verifier-of-this-trip-0123456789-abcdefghijkl"
BASIC = {"username": USERNAME, "password": PASSWORD}
CODE = {**CLIENT, "oauth.callback.url": CALLBACK_URL}


@pytest.fixture
def platform(db):
    return platform_for(make_organization())


@pytest.fixture
def password_way(provider):
    return {
        "type": "custom",
        "grant_type": "password",
        "token_endpoint": f"{provider.url}/token",
        "token_params": {"resource": "https://{site}"},
        "username_key": "user.username",
        "password_key": "user.password",
        "fields": [
            {"key": "user.username", "label": "User", "required": True},
            {"key": "user.password", "label": "Password", "required": True, "secret": True},
            {"key": "site", "label": "Site", "default": "acme.example"},
            *({**field, "required": False} for field in CLIENT_FIELDS),
        ],
        "probe": {"url": f"{provider.url}/probe", "scheme": "bearer"},
    }


@pytest.fixture
def password_configuration():
    return {**CLIENT, "user.username": USERNAME, "user.password": PASSWORD}


@pytest.fixture
def code_draft(make_draft, code_way):
    return make_draft(code_way, CODE, code_verifier=CODE_VERIFIER)


def consented(platform, provider, draft):
    url = platform.oauth_url(draft, state="state-of-this-trip")
    return replace(draft, provider_data=provider.authorize(url))


def recorded():
    return str([vars(one) for one in Interaction.objects.all()])


def test_a_user_name_and_password_are_proved_by_the_probe(
    platform, provider, make_draft, basic_way
):
    created = platform.create_instance(make_draft(basic_way, BASIC))
    assert len(base64.b64decode(created.token)) == 32
    assert (created.tokens, created.remote_id, created.is_valid) == (None, None, True)
    assert provider.last.path == "/probe"
    assert PASSWORD not in recorded()


def test_a_wrong_password_is_refused(platform, make_draft, basic_way):
    draft = make_draft(basic_way, BASIC | {"password": "not-the-one"})
    with pytest.raises(errors.CredentialsRefusedError) as caught:
        platform.create_instance(draft)
    assert str(caught.value).startswith(f"{draft.label}: prove the credentials was refused (401)")
    assert caught.value.interaction_id == Interaction.objects.get().pk
    assert caught.value.provider_message == "Unauthorized"


def test_a_key_is_proved_in_a_header(platform, provider, make_draft):
    way = {
        "type": "apiKey",
        "fields": [{"key": "api.key", "label": "Key", "required": True, "secret": True}],
        "probe": {
            "url": f"{provider.url}/probe",
            "scheme": "headers",
            "headers": {"X-Api-Key": "{api.key}"},
        },
    }
    platform.create_instance(make_draft(way, {"api.key": API_KEY}))
    assert API_KEY not in recorded()
    with pytest.raises(
        errors.InvalidConfigurationError, match=r"api\.key: holds a character that no header"
    ):
        platform.create_instance(make_draft(way, {"api.key": "schlüssel"}))


def test_without_a_probe_credentials_are_taken_on_trust(platform, provider, make_draft, basic_way):
    way = {name: value for name, value in basic_way.items() if name != "probe"}
    assert platform.create_instance(make_draft(way, BASIC)).token
    assert provider.requests == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, errors.AccessForbiddenError),
        (404, errors.RefusedError),
        (429, errors.RateLimitedError),
        (500, errors.ProviderFaultError),
    ],
)
def test_a_probe_that_fails_says_who_must_act(
    platform, provider, make_draft, basic_way, status, kind
):
    provider.override = (status, "<html>no</html>")
    with pytest.raises(errors.PlatformError) as caught:
        platform.create_instance(make_draft(basic_way, BASIC))
    assert type(caught.value) is kind
    assert caught.value.status == status


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
        (200, "<html>Sign in</html>", "UnusableAnswerError"),
        (200, {"token_type": "Bearer"}, "UnusableAnswerError"),
        (200, {"access_token": ""}, "UnusableAnswerError"),
        (200, [], "UnusableAnswerError"),
        (200, {"error": "invalid_grant"}, "GrantRejectedError"),
        (400, {"error": "unauthorized_client"}, "ClientRefusedError"),
        (400, {"error": "invalid_scope"}, "RefusedError"),
        (400, {"error": {"message": "no"}}, "RefusedError"),
        (400, "<html>Bad request</html>", "UnusableAnswerError"),
        (401, {"message": "no"}, "CredentialsRefusedError"),
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
    assert str(caught.value).startswith(f"{draft.label}: exchange the code ")


@pytest.mark.parametrize("expires_in", ["soon", None, {}, 1e300, "3600"])
def test_a_strange_lifetime_does_not_lose_the_grant(platform, provider, code_draft, expires_in):
    draft = consented(platform, provider, code_draft)
    provider.override = (200, {"access_token": "a-token", "expires_in": expires_in})
    created = platform.create_instance(draft)
    assert (created.tokens.expires_at is not None) == (expires_in == "3600")


def test_a_check_asks_the_probe(platform, provider, code_draft):
    draft = consented(platform, provider, code_draft)
    tokens = platform.create_instance(draft).tokens
    draft = replace(draft, tokens=tokens)
    assert platform.get_instance(draft).is_valid
    provider.access_tokens.clear()
    with pytest.raises(errors.CredentialsRefusedError):
        platform.get_instance(draft)


def test_a_check_renews_an_access_token_that_has_run_out(platform, provider, code_draft):
    draft = consented(platform, provider, code_draft)
    tokens = platform.create_instance(draft).tokens
    run_out = replace(draft, tokens=replace(tokens, expires_at=datetime.now(UTC)))
    renewed = platform.get_instance(run_out).tokens
    assert renewed.access_token in provider.access_tokens - {tokens.access_token}
    assert renewed.refresh_token != tokens.refresh_token
    with pytest.raises(errors.GrantRejectedError):
        platform.get_instance(run_out)


def test_a_refresh_token_is_kept_where_the_provider_sends_no_new_one(provider, code_draft):
    provider.override = (200, {"access_token": "a-new-access-token"})
    tokens = TokenSet("old", "the-refresh-token", extra={"realmId": "1"})
    renewed = oauth2.refresh_token(replace(code_draft, tokens=tokens))
    assert renewed == TokenSet("a-new-access-token", "the-refresh-token", extra={"realmId": "1"})
    assert "the-refresh-token" not in recorded()


def test_a_password_grant_without_refresh_token_signs_in_again(
    platform, provider, make_draft, password_way, password_configuration
):
    draft = make_draft(password_way, password_configuration)
    renewed = platform.get_instance(replace(draft, tokens=TokenSet("", ""))).tokens
    assert renewed.access_token in provider.access_tokens


def test_an_update_proves_anew(platform, provider, code_draft):
    created = platform.create_instance(consented(platform, provider, code_draft))
    again = consented(platform, provider, replace(code_draft, tokens=created.tokens))
    renewed = platform.update_instance(again)
    assert renewed.tokens.access_token != created.tokens.access_token


def test_a_deletion_gives_the_grant_back(platform, provider, code_draft):
    draft = consented(platform, provider, code_draft)
    tokens = platform.create_instance(draft).tokens
    platform.delete_instance(replace(draft, tokens=tokens))
    assert provider.last.form["token"] == tokens.refresh_token
    assert provider.refresh_tokens == set()
    assert not [one for one in provider.secrets if one in recorded()]


@pytest.mark.parametrize("override", [(500, ""), (400, {"error": "unsupported_token_type"})])
def test_a_provider_that_does_not_revoke_does_not_block_a_deletion(
    platform, provider, code_draft, override
):
    provider.override = override
    platform.delete_instance(replace(code_draft, tokens=TokenSet("a-token", "r-token")))
    assert Interaction.objects.get().status == override[0]


def test_tokens_that_the_caller_has_are_taken_over(platform, provider, make_draft, code_way):
    draft = make_draft(code_way, CODE | {"oauth.user.refresh_token": "imported-token"})
    draft = replace(draft, external_authentication="initial")
    assert platform.create_instance(draft).tokens == TokenSet("", "imported-token")
    assert provider.requests == []
    with pytest.raises(
        errors.MissingConfigurationError, match=r"oauth\.user\.token, oauth\.user\.refresh_token"
    ):
        platform.create_instance(
            replace(make_draft(code_way, CODE), external_authentication="initial")
        )


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


def test_there_is_nothing_to_find_enable_or_disable(code_draft):
    platform = EmbeddedPlatform(code_draft.organization)
    platform.set_enabled(code_draft, is_enabled=False)
    assert platform.find_instances(code_draft) == []
