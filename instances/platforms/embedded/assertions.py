"""Assertions for token requests: signed, short-lived, and new for each request (RFC 7521, RFC 7523)."""

import secrets
import time
from collections.abc import Mapping

from instances.catalogue.assertions import Assertion
from instances.catalogue.authentication import ClientAuthenticationMethod
from instances.catalogue.templates import fill_text, variables_in
from instances.crypto.keys import UnusableKeyError, read_signing_key
from instances.crypto.signing import sign_jwt
from instances.errors import CatalogueError, InvalidConfigurationError, MissingConfigurationError
from instances.platforms.base import PlatformRequest
from instances.platforms.embedded.templates import values_of

CLIENT_ASSERTION = "client_assertion"
GRANT_ASSERTION = "assertion"
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ID_BYTES = 16


def client_assertion(request: PlatformRequest, endpoint: str, *, scope: str = "") -> dict[str, str]:
    """Return the parameters by which the client proves itself at an endpoint (RFC 7523 2.2).

    Empty if it does so in another way. scope: a claim if the element's file says so.

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
    if scope and way.assertion.carries_scope:
        claims["scope"] = scope
    return {
        "client_assertion_type": CLIENT_ASSERTION_TYPE,
        CLIENT_ASSERTION: _signed(request, way.assertion, endpoint, claims),
    }


def grant_assertion(request: PlatformRequest, endpoint: str, *, scope: str) -> dict[str, str]:
    """Return the parameters of a grant that the account signs (RFC 7523 2.1).

    Raises CatalogueError if the element does not say how it is made, MissingConfigurationError,
    InvalidConfigurationError.
    """
    assertion = request.authentication.assertion
    if assertion is None:
        raise CatalogueError(f"{request.element.key}: how its assertions are made is not known.")
    _, from_file = _entered_key(request, assertion)
    values = from_file | values_of(request)
    claims = {
        "iss": fill_text(assertion.issuer, values),
        "sub": _filled_if_known(assertion.subject, values),
        "scope": scope if assertion.carries_scope else "",
        **{name: fill_text(text, values) for name, text in assertion.claims.items()},
    }
    claims = {name: text for name, text in claims.items() if text}
    in_form = {} if assertion.carries_scope or not scope else {"scope": scope}
    return in_form | {GRANT_ASSERTION: _signed(request, assertion, endpoint, claims)}


def assertions_in(form: Mapping[str, str | None]) -> frozenset[str]:
    """Return the assertions of a form, which no record of its exchange may show, wherever they come back."""
    return frozenset(filter(None, map(form.get, (CLIENT_ASSERTION, GRANT_ASSERTION))))


def _entered_key(request: PlatformRequest, assertion: Assertion) -> tuple[str, dict[str, str]]:
    """Return the private key (PEM), and the values of a key file, which the configuration's own take precedence over."""
    name = assertion.private_key_key
    text = values_of(request).get(name)
    if not text:
        raise MissingConfigurationError([name])
    try:
        return assertion.read(text)
    except UnusableKeyError as error:
        raise InvalidConfigurationError(name, str(error)) from None


def _filled_if_known(template: str, values: Mapping[str, str]) -> str:
    """Fill a template; empty if one of its keys has no value."""
    is_known = all(values.get(name, "").strip() for name in variables_in(template))
    return fill_text(template, values) if is_known else ""


def _signed(
    request: PlatformRequest, assertion: Assertion, endpoint: str, claims: Mapping[str, str]
) -> str:
    """Add what every assertion has (RFC 7523 3), and sign it."""
    pem, from_file = _entered_key(request, assertion)
    values = from_file | values_of(request)
    try:
        key = read_signing_key(pem, assertion.algorithm)
    except UnusableKeyError as error:
        raise InvalidConfigurationError(assertion.private_key_key, str(error)) from None
    now = int(time.time())
    complete = {
        **claims,
        "aud": fill_text(assertion.audience, values) if assertion.audience else endpoint,
        "iat": now,
        "exp": now + assertion.lifetime_seconds,
        "jti": secrets.token_urlsafe(_ID_BYTES),
    }
    headers = {
        "kid": _filled_if_known(assertion.key_id, values),
        "x5t#S256": key.thumbprint if assertion.sends_thumbprint else "",
    }
    return sign_jwt(complete, key, headers={name: text for name, text in headers.items() if text})
