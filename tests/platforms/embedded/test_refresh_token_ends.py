"""When refresh tokens end: as the token response says, or as the element's file does."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from instances.platforms.base import TokenSet
from tests.platforms.embedded.conftest import CODE, CODE_VERIFIER, consented

ISSUED = {"access_token": "a-1", "refresh_token": "r-1", "expires_in": 3600}
LIFETIMES = {"refresh_token_idle_days": 100, "refresh_token_max_days": 1825}


@pytest.fixture
def exchanged(platform, provider, make_draft, code_way):
    """exchanged(body, **way): the tokens of a new consent."""

    def exchange(body, **way):
        draft = make_draft(code_way | way, CODE, code_verifier=CODE_VERIFIER)
        sent = consented(platform, provider, draft)
        provider.override = (200, body)
        return sent, platform.create_instance(sent).tokens

    return exchange


def days_until(at):
    return None if at is None else round((at - timezone.now()) / timedelta(days=1))


@pytest.mark.parametrize(
    ("body", "way", "days"),
    [
        ({}, {}, None),
        ({}, LIFETIMES, 100),
        ({}, {"refresh_token_max_days": 365}, 365),
        ({"x_refresh_token_expires_in": 8_726_400}, LIFETIMES, 101),
        ({"refresh_token_expires_in": "2592000"}, {}, 30),
        ({"refresh_expires_in": 0}, {}, None),
        ({"refresh_expires_in": -99_999_999_999}, {}, None),
        ({"refresh_token_expires_in": 10**12}, {"refresh_token_max_days": 5}, 5),
        ({"refresh_token_expires_in": {"not": "a number"}}, {}, None),
        (
            {"refresh": {"ends": 86_400}},
            {"token_answer": {"refresh_token_expires_in": "refresh.ends"}},
            1,
        ),
    ],
)
def test_a_new_refresh_token_ends_as_stated(exchanged, body, way, days):
    _, tokens = exchanged(ISSUED | body, **way, probe=None)
    assert days_until(tokens.refresh_expires_at) == days
    assert TokenSet.from_json(tokens.to_json()).refresh_expires_at == tokens.refresh_expires_at


def test_without_a_refresh_token_none_ends(exchanged):
    _, tokens = exchanged({"access_token": "a-1"}, **LIFETIMES, probe=None)
    assert tokens.refresh_expires_at is None


def test_a_refresh_extends_an_unused_token_but_not_the_grant(platform, provider, exchanged):
    sent, tokens = exchanged(ISSUED, **LIFETIMES, probe=None)
    soon = timezone.now() + timedelta(days=40)
    old = replace(tokens, refresh_expires_at=timezone.now(), grant_expires_at=soon)
    provider.override = (200, {"access_token": "a-2"})
    renewed = platform.refresh_tokens(replace(sent, tokens=old))
    assert (renewed.refresh_expires_at, renewed.grant_expires_at) == (soon, soon)


def test_a_refresh_token_that_stays_keeps_its_end(platform, provider, exchanged):
    sent, tokens = exchanged(ISSUED | {"refresh_token_expires_in": 864_000}, probe=None)
    provider.override = (200, {"access_token": "a-2"})
    kept = platform.refresh_tokens(replace(sent, tokens=tokens))
    assert kept.refresh_expires_at == tokens.refresh_expires_at
    provider.override = (200, {"access_token": "a-3", "refresh_token": "r-3"})
    assert platform.refresh_tokens(replace(sent, tokens=tokens)).refresh_expires_at is None


def test_the_element_names_the_account_in_the_answer(exchanged):
    body = ISSUED | {"owner": {"login": "ada"}, "tenants": [{"key": 7}]}
    _, tokens = exchanged(
        body, account_fields=["owner.login", "tenants.0.key", "tenants.9.key"], probe=None
    )
    assert tokens.account == {"owner.login": "ada", "tenants.0.key": "7"}
