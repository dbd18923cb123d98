"""OAuth 1.0a against a provider that really listens, and checks signatures: RFC 5849."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from instances import errors
from instances.models import Interaction
from tests.platforms.embedded.conftest import CODE, recorded
from tests.support.oauth1_provider import signed_way

STATE = "state of/this+trip&é"


@pytest.fixture
def provider(oauth1_provider):
    return oauth1_provider


@pytest.fixture
def draft(make_draft, provider):
    return make_draft(signed_way(provider), CODE)


def authorized(platform, provider, draft):
    """The draft after the first two steps, with what the callback and the first step gave."""
    given = platform.request_token(draft, state=STATE)
    draft = replace(draft, provider_data={"oauth_token": given.token})
    back = provider.authorize(platform.oauth_url(draft, state=STATE))
    return replace(draft, provider_data=back | {"secret": given.secret, "realmId": "12"})


def test_three_signed_steps_end_in_tokens(platform, provider, draft):
    created = platform.create_instance(authorized(platform, provider, draft))
    tokens = created.tokens
    assert provider.token_secrets[tokens.access_token] == tokens.token_secret
    assert tokens.extra == {"realmId": "12", "screen_name": "ada"}
    assert not [one for one in provider.secrets | {STATE} if one in recorded()]
    assert Interaction.objects.count() == 2


def test_the_authorization_url_carries_the_token_and_the_elements_parameters(
    platform, provider, draft
):
    draft = replace(draft, provider_data={"oauth_token": "the-token"})
    url = platform.oauth_url(draft, state=STATE)
    assert url.partition("?")[0] == f"{provider.url}/authorize"
    assert dict(parse_qsl(urlsplit(url).query)) == {"perms": "write", "oauth_token": "the-token"}
    with pytest.raises(errors.MissingConfigurationError, match="requestToken"):
        platform.oauth_url(replace(draft, provider_data={}), state=STATE)


@pytest.mark.parametrize(
    ("callback", "query"),
    [
        ("https://app.example/back", {"state": STATE}),
        ("https://app.example/back?next=%2Fa%20b", {"next": "/a b", "state": STATE}),
        ("https://app.example/back?state=oauth1", {"state": "oauth1"}),
    ],
)
def test_the_state_comes_back_in_the_callbacks_query(platform, provider, draft, callback, query):
    draft = replace(draft, configuration={**CODE, "oauth.callback.url": callback})
    given = platform.request_token(draft, state=STATE)
    assert dict(parse_qsl(urlsplit(provider.callbacks[given.token]).query)) == query


def test_a_consumer_that_the_provider_does_not_know_is_the_operators_to_correct(
    platform, provider, draft
):
    stranger = replace(draft, configuration={**CODE, "oauth.api.key": "a-stranger"})
    with pytest.raises(errors.ClientRefusedError) as caught:
        platform.request_token(stranger, state=STATE)
    assert caught.value.provider_message == "oauth_problem=consumer_key_unknown"
    brought = authorized(platform, provider, draft).provider_data
    with pytest.raises(errors.ClientRefusedError):
        platform.create_instance(replace(stranger, provider_data=brought))


@pytest.mark.parametrize(
    ("name", "value"),
    [("oauth_verifier", "another"), ("oauth_token", "another"), ("secret", "another")],
)
def test_what_does_not_belong_together_is_a_rejected_grant(platform, provider, draft, name, value):
    draft = authorized(platform, provider, draft)
    wrong = replace(draft, provider_data={**draft.provider_data, name: value})
    with pytest.raises(errors.GrantRejectedError, match="Authorize again"):
        platform.create_instance(wrong)


def test_a_verifier_works_once(platform, provider, draft):
    draft = authorized(platform, provider, draft)
    platform.create_instance(draft)
    with pytest.raises(errors.GrantRejectedError):
        platform.update_instance(draft)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("oauth_verifier", errors.MissingCodeError),
        ("oauth_token", errors.MissingCodeError),
        ("secret", errors.InputError),
    ],
)
def test_what_the_caller_must_carry_is_asked_for(platform, provider, draft, name, kind):
    draft = authorized(platform, provider, draft)
    lacking = {key: value for key, value in draft.provider_data.items() if key != name}
    with pytest.raises(kind):
        platform.create_instance(replace(draft, provider_data=lacking))
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, "oauth_problem=permission_denied", errors.AccessForbiddenError),
        (429, "Slow down", errors.RateLimitedError),
        (503, "Later", errors.ProviderFaultError),
        (200, "<html>Sign in</html>", errors.UnusableAnswerError),
        (200, "oauth_token=t", errors.UnusableAnswerError),
        (200, ["oauth_token"], errors.UnusableAnswerError),
        (200, {"oauth_token": 1, "oauth_token_secret": None}, errors.UnusableAnswerError),
    ],
)
def test_answers_that_give_no_token_are_told_apart(platform, provider, draft, status, body, kind):
    provider.override = (status, body)
    with pytest.raises(kind) as caught:
        platform.request_token(draft, state=STATE)
    assert type(caught.value) is kind


def test_a_token_may_come_as_json(platform, provider, draft):
    provider.override = (200, {"oauth_token": "t", "oauth_token_secret": "s", "user": {"id": 1}})
    given = platform.request_token(draft, state=STATE)
    assert (given.token, given.secret) == ("t", "s")
    assert "secret='s'" not in repr(given)


def test_a_client_without_secret_or_callback_is_named_before_anything_is_sent(
    platform, provider, draft
):
    for key in CODE:
        lacking = {name: value for name, value in CODE.items() if name != key}
        with pytest.raises(errors.MissingConfigurationError, match=key):
            platform.request_token(replace(draft, configuration=lacking), state=STATE)
    assert provider.requests == []


def test_secrets_are_not_signed_into_plain_http(platform, make_draft, provider):
    way = signed_way(provider) | {"request_token_endpoint": "http://provider.example/request_token"}
    with pytest.raises(errors.InputError, match="begins with https://"):
        platform.request_token(make_draft(way, CODE), state=STATE)


@pytest.fixture
def probed(platform, provider, make_draft):
    """A draft whose element has a probe, and tokens that the provider gave."""
    probe = {"url": f"{provider.url}/signed?fields=id,name", "scheme": "oauth1"}
    return authorized(platform, provider, make_draft(signed_way(provider) | {"probe": probe}, CODE))


def test_the_tokens_are_proved_by_a_signed_probe(platform, provider, probed):
    tokens = platform.create_instance(probed).tokens
    assert provider.last.path == "/signed"
    platform.get_instance(replace(probed, tokens=tokens))
    assert not [one for one in provider.secrets if one in recorded()]


def test_a_probe_signed_with_dead_tokens_is_refused(platform, provider, probed):
    tokens = platform.create_instance(probed).tokens
    provider.token_secrets.pop(tokens.access_token)
    with pytest.raises(errors.GrantRejectedError):
        platform.get_instance(replace(probed, tokens=tokens))
    with pytest.raises(errors.GrantRejectedError):
        platform.get_instance(replace(probed, tokens=replace(tokens, token_secret="another")))
