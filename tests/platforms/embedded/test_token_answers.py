"""Token endpoints in their own words: what is dead, what passes by itself, and where the tokens are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from instances import errors
from instances.platforms.base import TokenSet
from tests.platforms.embedded.conftest import CODE, CODE_VERIFIER, consented
from tests.support.provider import CLIENT_SECRET

TOKENS = TokenSet("a-4711", "r-4711", scope="read write")


@pytest.fixture
def refreshed(platform, provider, make_draft, code_way):
    """refreshed(status, body, **way): the tokens that an answer to a refresh gives, or the error."""

    def refresh(status, body, **way):
        draft = make_draft(code_way | way, CODE, code_verifier=CODE_VERIFIER)
        provider.override = (status, body)
        try:
            return platform.refresh_tokens(replace(draft, tokens=TOKENS))
        except errors.PlatformError as error:
            return error

    return refresh


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid_grant"}),
        (403, {"error": "invalid_grant"}),
        (400, {"error": "login_required"}),
        (400, {"error": "consent_required"}),
        (400, {"error": "invalid_request", "error_description": "AADSTS700082: it expired."}),
        (400, {"error": "invalid_request", "error_codes": [50173]}),
        (401, {"success": False, "errors": [{"errorType": "invalid_token", "message": "no"}]}),
        (200, {"success": False, "errors": [{"errorType": "invalid_grant", "message": "no"}]}),
        (200, {"ok": False, "error": "token_revoked"}),
        (200, {"error": "bad_refresh_token"}),
        (400, {"status": "BAD_REFRESH_TOKEN"}),
        (400, {"error": {"type": "OAuthException", "code": 190, "error_subcode": 460}}),
        (200, {"errcode": 40030, "errmsg": "invalid refresh_token"}),
        (200, {"errcode": 42007, "errmsg": "the user changed the password"}),
        (
            400,
            {"error": "invalid_request", "error_description": "The refresh_token is invalid."},
        ),
        (
            400,
            {
                "error": "invalid_request",
                "error_description": "The provided authorization grant or refresh token is invalid, expired or revoked",
            },
        ),
        (400, {"error": "invalid_request", "error_description": "Invalid refresh_token"}),
        (401, ""),
        (400, "<html><body>Bad Request</body></html>"),
        (401, {"message": "Unauthorized"}),
    ],
)
def test_a_dead_refresh_token_is_recognised(refreshed, status, body):
    error = refreshed(status, body)
    assert type(error) is errors.GrantRejectedError
    assert "rejected the refresh token" in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_client"}, "ClientRefusedError"),
        (401, {"error": "invalid_client", "error_codes": [7000222]}, "ClientRefusedError"),
        (200, {"error": "incorrect_client_credentials"}, "ClientRefusedError"),
        (400, {"error": "invalid_scope"}, "RefusedError"),
        (400, {"error": "unsupported_grant_type"}, "RefusedError"),
        (400, {"error": "invalid_request", "error_description": "no"}, "RefusedError"),
        (403, {"error": "access_denied"}, "AccessForbiddenError"),
        (404, "", "RefusedError"),
        (408, "", "ProviderFaultError"),
        (400, {"error": "temporarily_unavailable"}, "ProviderFaultError"),
        (400, {"error": "invalid_grant", "error_codes": [90033]}, "ProviderFaultError"),
        (500, {"error": "invalid_grant"}, "ProviderFaultError"),
        (502, "<html>Bad gateway</html>", "ProviderFaultError"),
        (429, {"error": "invalid_grant"}, "RateLimitedError"),
        (403, {"error": {"errors": [{"reason": "rateLimitExceeded"}]}}, "RateLimitedError"),
        (
            400,
            {"error": "Access Denied", "error_description": "Too many requests. Try again later."},
            "RateLimitedError",
        ),
        (200, "<html><title>Maintenance</title></html>", "SignInPageError"),
        (200, "gibberish", "UnusableAnswerError"),
    ],
)
def test_what_does_not_mean_a_dead_grant_is_told_from_it(refreshed, status, body, kind):
    assert type(refreshed(status, body)).__name__ == kind


def test_an_element_states_what_its_providers_own_codes_mean(refreshed):
    codes = {"grant_rejected": ["Dead-Token", "error.code=4711"], "transient": ["come_back"]}

    def meaning(body):
        return type(refreshed(400, body, error_codes=codes))

    assert meaning({"status": "DEAD-TOKEN"}) is errors.GrantRejectedError
    assert meaning({"error": {"code": 4711}}) is errors.GrantRejectedError
    assert meaning({"error": "come_back"}) is errors.ProviderFaultError
    assert meaning({"error": {"code": 4712}}) is errors.RefusedError


def test_an_error_shows_no_code_that_only_the_provider_knows(refreshed):
    error = refreshed(400, {"error": CLIENT_SECRET, "error_description": f"no {CLIENT_SECRET}"})
    assert CLIENT_SECRET not in f"{error} {error.provider_message}"


def test_an_element_states_where_its_token_response_holds_the_tokens(refreshed):
    places = {"access_token": "user.token", "refresh_token": "user.renewal", "scope": "granted"}
    body = {
        "access_token": "of-the-bot",
        "granted": "read",
        "user": {"token": "of-the-user", "renewal": "r2"},
    }
    tokens = refreshed(200, body, token_answer=places)
    assert (tokens.access_token, tokens.refresh_token, tokens.scope) == (
        "of-the-user",
        "r2",
        "read",
    )
    assert tokens.missing_scopes == ("write",)


@pytest.mark.parametrize(
    ("fields", "lifetime"),
    [
        ({"expires_in": 3600}, timedelta(hours=1)),
        ({"expires_in": "3600"}, timedelta(hours=1)),
        ({"expires_in": 3599.5}, timedelta(hours=1)),
        ({"expires": 3600}, timedelta(hours=1)),
        ({"expires_in": 3_600_000, "expires_in_sec": 3600}, timedelta(hours=1)),
        ({"expires_in": 999_999_999}, timedelta(days=3650)),
        ({"expires_in": 10**30}, None),
        ({"expires_in": 0}, None),
        ({"expires_in": -1}, None),
        ({"expires_in": True}, None),
        ({"expires_in": "never"}, None),
        ({"expires_in": "1e999"}, None),
        ({"expires_on": 1}, None),
        ({"expires_at": "no date"}, None),
        ({}, None),
    ],
)
def test_the_end_of_a_token_is_bounded_and_known_only_if_it_makes_sense(
    refreshed, fields, lifetime
):
    ends = refreshed(200, {"access_token": "a"} | fields).expires_at
    if lifetime is None:
        assert ends is None
    else:
        assert abs(ends - datetime.now(UTC) - lifetime) < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["expires_on", "expires_at", "expires_in"])
@pytest.mark.parametrize("form", ["seconds", "text", "milliseconds"])
def test_the_end_of_a_token_may_be_an_instant(refreshed, name, form):
    ends = datetime.now(UTC) + timedelta(hours=1)
    seconds = int(ends.timestamp())
    value = {"seconds": seconds, "text": str(seconds), "milliseconds": seconds * 1000}[form]
    found = refreshed(200, {"access_token": "a", name: value}).expires_at
    assert abs(found - ends) < timedelta(seconds=2)


def test_the_end_of_a_token_may_be_a_date(refreshed):
    ends = datetime.now(UTC) + timedelta(hours=1)
    found = refreshed(200, {"access_token": "a", "expires_at": ends.isoformat()}).expires_at
    assert found == ends


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ("read write", ()),
        ("write,read", ()),
        ("https://provider.example/auth/READ https://provider.example/auth/write", ()),
        ("read", ("write",)),
        ("", ()),
    ],
)
def test_scopes_that_were_not_granted_are_named(
    platform, provider, make_draft, code_way, granted, missing
):
    draft = make_draft(code_way, CODE, code_verifier=CODE_VERIFIER)
    draft = consented(platform, provider, draft)
    answer = {"access_token": "a", "scope": granted}
    provider.answer = lambda request: (200, answer if request.path == "/token" else {})
    assert platform.create_instance(draft).tokens.missing_scopes == missing
