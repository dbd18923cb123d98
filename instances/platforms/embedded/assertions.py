"""Assertions for token requests: signed, short-lived, and new for each request (RFC 7521, RFC 7523)."""

import secrets
import time
from collections.abc import Mapping

from instances.catalogue.assertions import Assertion
from instances.catalogue.authentication import ClientAuthenticationMethod
from instances.catalogue.templates import fill_text
from instances.crypto.keys import UnusableKeyError, read_signing_key
from instances.crypto.signing import sign_jwt
from instances.errors import InvalidConfigurationError, MissingConfigurationError
from instances.platforms.base import PlatformRequest
from instances.platforms.embedded.templates import values_of

CLIENT_ASSERTION = "client_assertion"
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ID_BYTES = 16


def client_assertion(request: PlatformRequest, endpoint: str) -> dict[str, str]:
    """Return the parameters by which the client proves itself at an endpoint (RFC 7523 2.2).

    Empty if it does so in another way.

    Raises MissingConfigurationError, InvalidConfigurationError.
    """
    way = request.authentication
    is_signed = way.token_endpoint_auth_method == ClientAuthenticationMethod.PRIVATE_KEY_JWT
    if way.assertion is None or not is_signed:
        return {}
    client_id = values_of(request).get(way.client_id_key)
    if not client_id:
        raise MissingConfigurationError([way.client_id_key])
    claims = {"iss": client_id, "sub": client_id}
    return {
        "client_assertion_type": CLIENT_ASSERTION_TYPE,
        CLIENT_ASSERTION: _signed(request, way.assertion, endpoint, claims),
    }


def assertions_in(form: Mapping[str, str | None]) -> frozenset[str]:
    """Return the assertions of a form, which no record of its exchange may show, wherever they come back."""
    return frozenset(filter(None, [form.get(CLIENT_ASSERTION)]))


def _signed(
    request: PlatformRequest, assertion: Assertion, endpoint: str, claims: Mapping[str, str]
) -> str:
    """Add what every assertion has (RFC 7523 3), and sign it."""
    values, name = values_of(request), assertion.private_key_key
    text = values.get(name)
    if not text:
        raise MissingConfigurationError([name])
    try:
        key = read_signing_key(text, assertion.algorithm)
    except UnusableKeyError as error:
        raise InvalidConfigurationError(name, str(error)) from None
    now = int(time.time())
    complete = {
        **claims,
        "aud": fill_text(assertion.audience, values) if assertion.audience else endpoint,
        "iat": now,
        "exp": now + assertion.lifetime_seconds,
        "jti": secrets.token_urlsafe(_ID_BYTES),
    }
    headers = {
        "kid": fill_text(assertion.key_id, values),
        "x5t#S256": key.thumbprint if assertion.sends_thumbprint else "",
    }
    return sign_jwt(complete, key, headers={name: text for name, text in headers.items() if text})
