"""What a provider's numbered refusals mean for a password and for a refresh token, each with its own advice."""

from dataclasses import replace

import pytest

from instances import errors
from instances.platforms.base import TokenSet
from tests.platforms.embedded.conftest import CODE, CODE_VERIFIER

SECRET = "s3cret-of-the-account"
# Number, error of Entra ID, what a password gets, what a refresh gets, and words of the advice.
TABLE = [
    (50076, "invalid_grant", "SecondFactorNeeded", "GrantRejected", "second factor (MFA)"),
    (50079, "interaction_required", "SecondFactorNeeded", "GrantRejected", "set up a second"),
    (53003, "invalid_grant", "SecondFactorNeeded", "GrantRejected", "Conditional Access"),
    (65001, "invalid_grant", "ConsentMissing", "GrantRejected", "must consent to the app"),
    (50034, "invalid_grant", "CredentialsRefused", "GrantRejected", "user name does not exist"),
    (50126, "invalid_grant", "CredentialsRefused", "GrantRejected", "Enter the right ones"),
    (50053, "invalid_grant", "AccountUnusable", "GrantRejected", "is locked"),
    (50055, "invalid_grant", "AccountUnusable", "GrantRejected", "password has expired"),
    (50057, "invalid_grant", "AccountUnusable", "GrantRejected", "account is disabled"),
    (500011, "invalid_resource", "SettingsRefused", "SettingsRefused", "Check the address"),
    (50194, "invalid_request", "SettingsRefused", "SettingsRefused", "ID of that directory"),
    (90002, "invalid_request", "SettingsRefused", "SettingsRefused", "does not exist"),
    (50173, "invalid_grant", "CredentialsRefused", "GrantRejected", "password was changed"),
    (700082, "invalid_grant", "CredentialsRefused", "GrantRejected", "not used for too long"),
    (70000, "invalid_grant", "CredentialsRefused", "GrantRejected", "not valid any more"),
    (700016, "unauthorized_client", "ClientRefused", "ClientRefused", "client ID is not known"),
    (7000215, "invalid_client", "ClientRefused", "ClientRefused", "Enter its value, not its ID"),
    (7000218, "invalid_client", "ClientRefused", "ClientRefused", "none was sent"),
    (7000222, "invalid_client", "ClientRefused", "ClientRefused", "every instance that uses it"),
]


def refusal(number, error):
    """As Entra ID words it, and hostile: it repeats what was sent."""
    text = f"AADSTS{number}: Something about password={SECRET}. Trace ID: 0."
    return 400, {"error": error, "error_description": text, "error_codes": [number]}


def message_of(send, provider, answer):
    provider.override = answer
    with pytest.raises(errors.PlatformError) as raised:
        send()
    assert SECRET not in str(raised.value)
    return type(raised.value).__name__.removesuffix("Error"), str(raised.value)


@pytest.mark.parametrize(("number", "error", "kind", "_kind", "words"), TABLE)
def test_a_password_is_refused_with_its_own_advice(
    platform, provider, make_draft, password_way, password_configuration, number, error, kind,
    _kind, words,
):  # fmt: skip
    draft = make_draft(password_way, password_configuration | {"user.password": SECRET})
    send = lambda: platform.create_instance(draft)  # noqa: E731
    found, message = message_of(send, provider, refusal(number, error))
    assert found == kind, message
    assert words in message
    assert f"HTTP 400, aadsts{number}" in message
    assert "Enter valid credentials" not in message


@pytest.mark.parametrize(("number", "error", "_kind", "kind", "words"), TABLE)
def test_a_refresh_is_refused_with_its_own_advice(
    platform, provider, make_draft, code_way, number, error, _kind, kind, words
):
    draft = make_draft(code_way, CODE, code_verifier=CODE_VERIFIER)
    tokens = TokenSet("access-token", "refresh-token")
    send = lambda: platform.refresh_tokens(replace(draft, tokens=tokens))  # noqa: E731
    found, message = message_of(send, provider, refusal(number, error))
    assert found == kind, message
    assert words in message
    assert message.endswith("Authorize again.") is (kind == "GrantRejected")


def test_an_element_explains_codes_of_its_own(platform, provider, make_draft, password_way, password_configuration):  # fmt: skip
    codes = {
        "account_unusable": ["RESTING"],
        "explained": {"Resting": "The account rests on Sundays."},
    }
    draft = make_draft(password_way | {"error_codes": codes}, password_configuration)
    send = lambda: platform.create_instance(draft)  # noqa: E731
    found, message = message_of(send, provider, (400, {"error": "resting"}))
    assert (found, "The account rests on Sundays." in message) == ("AccountUnusable", True)
    found, message = message_of(send, provider, (400, {"error": "consent_required"}))
    assert found == "ConsentMissing"
    assert "Correct the settings here, or the account at the provider." in message
