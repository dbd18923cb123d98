"""What the error codes of providers mean: a default vocabulary, and what an element adds to it.

A code is compared without regard to case. A number is written with its place: `errcode=40030`, `error.code=190`; an AADSTS
number as `aadsts50076`, wherever it stands.
"""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_COMMON_FILE = Path(__file__).with_name("common.toml")


class ErrorMeaning(StrEnum):
    """What an error code means; the more specific meanings come first."""

    # Too many requests.
    RATE_LIMITED = "rate_limited"
    # The same request may succeed later.
    TRANSIENT = "transient"
    # The OAuth client is wrong.
    CLIENT_REJECTED = "client_rejected"
    # The address, the tenant or another setting of the request is wrong.
    SETTINGS_REJECTED = "settings_rejected"
    # More than a password is needed: a second factor, or what an access policy says.
    SECOND_FACTOR_NEEDED = "second_factor_needed"
    # Nobody has consented to what the client asks for.
    CONSENT_MISSING = "consent_missing"
    # The credentials are right, but the account is locked or disabled, or its password has expired.
    ACCOUNT_UNUSABLE = "account_unusable"
    # The code, the refresh token or the whole grant is invalid, or a person must sign in again.
    GRANT_REJECTED = "grant_rejected"


class ErrorCodes(BaseModel):
    """The codes of one provider, in addition to the default vocabulary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_limited: tuple[str, ...] = ()
    transient: tuple[str, ...] = ()
    client_rejected: tuple[str, ...] = ()
    settings_rejected: tuple[str, ...] = ()
    second_factor_needed: tuple[str, ...] = ()
    consent_missing: tuple[str, ...] = ()
    account_unusable: tuple[str, ...] = ()
    grant_rejected: tuple[str, ...] = ()
    # What a code says and what to do, as whole sentences, by code; in addition to those in common.toml.
    explained: dict[str, str] = {}

    def stated(self) -> Iterator[tuple[ErrorMeaning, tuple[str, ...]]]:
        """Yield each meaning with its codes."""
        yield from ((meaning, getattr(self, meaning)) for meaning in ErrorMeaning)


DEFAULT_CODES: Mapping[ErrorMeaning, frozenset[str]] = {
    ErrorMeaning.RATE_LIMITED: frozenset(
        {
            # Google
            "ratelimitexceeded", "userratelimitexceeded", "quotaexceeded", "dailylimitexceeded", "resource_exhausted",
            # Salesforce, Slack, HubSpot, AWS, WeChat
            "request_limit_exceeded", "ratelimited", "rate_limit", "throttlingexception", "errcode=45009",
            "rate_limited", "rate_limit_exceeded", "too_many_requests", "toomanyrequests", "throttled",
        }
    ),
    ErrorMeaning.TRANSIENT: frozenset(
        {
            # RFC 6749 4.1.2.1
            "temporarily_unavailable", "server_error",
            # Microsoft, Slack, Google, WeChat
            "aadsts90033", "service_unavailable", "internal_error", "internal_failure", "fatal_error", "errcode=-1",
        }
    ),
    ErrorMeaning.CLIENT_REJECTED: frozenset(
        {
            # RFC 6749 5.2
            "invalid_client", "unauthorized_client",
            # Microsoft: unknown client, missing, wrong and expired secret
            "aadsts700016", "aadsts7000218", "aadsts7000215", "aadsts7000222",
            # Slack, GitHub, HubSpot, Google, WeChat
            "invalid_client_id", "bad_client_secret", "incorrect_client_credentials", "bad_client_id",
            "deleted_client", "errcode=40013", "errcode=40125",
        }
    ),
    # Microsoft: unknown resource, an app of one tenant only, unknown tenant
    ErrorMeaning.SETTINGS_REJECTED: frozenset({"aadsts500011", "aadsts50194", "aadsts90002"}),
    # Microsoft: a second factor is needed, or must be set up; Conditional Access
    ErrorMeaning.SECOND_FACTOR_NEEDED: frozenset({"aadsts50076", "aadsts50079", "aadsts53003"}),
    ErrorMeaning.CONSENT_MISSING: frozenset({"consent_required", "aadsts65001"}),
    # Microsoft: locked, expired password, disabled
    ErrorMeaning.ACCOUNT_UNUSABLE: frozenset({"aadsts50053", "aadsts50055", "aadsts50057"}),
    ErrorMeaning.GRANT_REJECTED: frozenset(
        {
            # RFC 6749 5.2, RFC 6750 3.1
            "invalid_grant", "invalid_token",
            # OpenID Connect Core 3.1.2.6
            "interaction_required", "login_required", "account_selection_required",
            # Microsoft: expired or revoked grant, unknown user, wrong password
            "aadsts50173", "aadsts700082", "aadsts70000", "aadsts50034", "aadsts50126",
            # Slack
            "invalid_refresh_token", "token_expired", "token_revoked", "account_inactive", "invalid_code",
            # GitHub, HubSpot, Fitbit
            "bad_verification_code", "bad_refresh_token", "bad_auth_code", "expired_token",
            # Facebook, with every subcode
            "error.code=190",
            # WeChat: the code or the refresh token is invalid, expired or used, or the password was changed
            "errcode=40029", "errcode=40030", "errcode=40163", "errcode=42002", "errcode=42007",
        }
    ),
}  # fmt: skip


def known_codes(codes: Collection[str], own: ErrorCodes) -> dict[ErrorMeaning, list[str]]:
    """Return those of the codes that have a meaning, the most specific meaning first.

    codes: in lower case. own: the element's additions.
    """
    found = {}
    for meaning, stated in own.stated():
        vocabulary = DEFAULT_CODES[meaning].union(code.lower() for code in stated)
        if known := sorted(vocabulary.intersection(codes)):
            found[meaning] = known
    return found


def explanation_of(codes: Collection[str], own: ErrorCodes) -> tuple[str, str]:
    """Return the one of the codes that is explained, and what it says and what to do. Both are empty if none is.

    codes: in lower case. own: the element's additions, which take precedence.
    """
    explained = _common_explanations() | {
        code.lower(): text for code, text in own.explained.items()
    }
    code = min(explained.keys() & set(codes), default="")
    return code, explained.get(code, "")


@cache
def _common_explanations() -> dict[str, str]:
    with _COMMON_FILE.open("rb") as file:
        return dict(tomllib.load(file)["error_codes"]["explained"])
