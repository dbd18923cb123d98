"""What a provider's authorization response says, in the words of RFC 6749 4.1.2.1 or the provider's own."""

import re
from collections.abc import Mapping

from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.error_codes import ErrorMeaning, explanation_of, known_codes
from instances.errors import (
    AuthorizationDeniedError,
    AuthorizationUnavailableError,
    ProviderReportedError,
)
from instances.models import Instance
from instances.platforms.base import code_in
from instances.redaction import redact_text

# The longest code that is used. Microsoft's and LinkedIn's have some thousand characters.
MAX_CODE_CHARACTERS = 8_192
MAX_REPORTED_CHARACTERS = 500
# Parameters with a code, the most important first: RFC 6749; Facebook; OAuth 1.0a's problem reporting extension;
# Microsoft.
_CODE_PARAMETERS = (
    "error", "error_code", "errorCode", "error_reason", "error_subcode", "oauth_problem", "err", "errcode",
)  # fmt: skip
_TEXT_PARAMETERS = (
    "error_description", "error_message", "errorMessage", "errorDescription", "oauth_problem_advice", "errmsg", "message",
)  # fmt: skip
# The account owner pressed Cancel, or declined.
_DENIED = frozenset(
    {
        # RFC 6749 4.1.2.1, OAuth 1.0a
        "access_denied", "user_refused", "permission_denied",
        # LinkedIn, Facebook, Microsoft
        "user_cancelled_login", "user_cancelled_authorize", "user_denied", "cancel",
        # others
        "user_cancelled", "user_canceled", "user_cancel", "cancelled", "canceled", "authorization_cancelled",
        "consent_declined", "consent_denied", "authorization_denied", "authorization_declined", "denied", "declined",
        "user_declined", "accessdenied", "login_cancelled", "login_canceled",
    }
)  # fmt: skip
_NO_ERROR = frozenset({"", "0", "null", "none"})
# Microsoft: the account owner declined to consent.
_DENIED_TEXT = "aadsts65004"
_NUMBER = re.compile(r"\bAADSTS\d{1,9}\b", re.IGNORECASE)
_CORRECT = "Correct it at the provider or in the OAuth app, then authorize again."


def require_code(
    instance: Instance, way: AuthenticationType, parameters: Mapping[str, str]
) -> None:
    """Check that the provider sent a code.

    Raises AuthorizationDeniedError, AuthorizationUnavailableError, ProviderReportedError.
    """
    label, reported = instance.label, reported_error(parameters)
    codes = {parameters[name].strip().lower() for name in _CODE_PARAMETERS if parameters.get(name)}
    # Twitter's OAuth 1.0a has a parameter of its own for it, with the request token.
    is_denied = "denied" in parameters or not codes.isdisjoint(_DENIED)
    if is_denied or _DENIED_TEXT in reported.lower():
        raise AuthorizationDeniedError(
            f"The account owner declined access for {label}{_quoted(reported)}. Authorize again and allow access.",
            reported=reported,
        )
    if ErrorMeaning.TRANSIENT in known_codes(codes - {"server_error"}, way.error_codes):
        raise AuthorizationUnavailableError(
            f"The provider is temporarily unavailable, so {label} was not authorized{_quoted(reported)}. "
            "Authorize again in a few minutes.",
            reported=reported,
        )
    if reported:
        numbers = {number.lower() for number in _NUMBER.findall(reported)}
        _code, explained = explanation_of(codes | numbers, way.error_codes)
        advice = f"{explained} Then authorize again." if explained else _CORRECT
        raise ProviderReportedError(
            f"The provider reported an error for {label}{_quoted(reported)}. {advice}",
            reported=reported,
        )
    code = code_in(parameters)
    if not code:
        raise ProviderReportedError(
            f"The provider returned neither a code nor an error for {label}. Authorize again."
        )
    if len(code) > MAX_CODE_CHARACTERS:
        raise ProviderReportedError(
            f"The provider returned a code for {label} that is longer than {MAX_CODE_CHARACTERS} characters, "
            "so it was not used."
        )


def reported_error(parameters: Mapping[str, str]) -> str:
    """Return the provider's words, redacted; empty if it reported no error."""
    codes = _values(parameters, _CODE_PARAMETERS)
    if not codes and code_in(parameters):
        # A text beside a code is no error.
        return ""
    words = [" ".join(codes), *_values(parameters, _TEXT_PARAMETERS)[:1]]
    return redact_text(": ".join(filter(None, words)))[:MAX_REPORTED_CHARACTERS]


def _values(parameters: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    values = (parameters.get(name, "").strip() for name in names)
    return list(dict.fromkeys(value for value in values if value.lower() not in _NO_ERROR))


def _quoted(reported: str) -> str:
    return f" (“{reported}”)" if reported else ""
