"""The sandbox's OAuth 2.0 authorization server.

It is Authlib's, with our own tables and Microsoft's response format.
"""

import re
import uuid
from typing import Any

from authlib.common.security import generate_token
from authlib.common.urls import add_params_to_uri
from authlib.integrations.django_oauth2 import (
    AuthorizationServer,
    ResourceProtector,
    RevocationEndpoint,
)
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc6750 import BearerTokenGenerator, BearerTokenValidator
from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone

from instances.catalogue.sandbox import SANDBOX_CLIENT_ID, SANDBOX_EXPIRED_SECRET
from instances.crypto import sealing
from instances.sandbox.certificates import CertificateAssertion
from instances.sandbox.client import ASSERTION_METHOD, AUTH_METHODS, Client
from instances.sandbox.grants import (
    ApplicationGrant,
    CodeGrant,
    PasswordGrant,
    RefreshGrant,
    S256Challenge,
    requested_resource,
)
from instances.sandbox.models import ACCESS_TOKEN_LIFETIME, Grant, Token

# Numbers of OAuth errors at Microsoft's identity platform ("Microsoft Entra error codes").
ERROR_NUMBERS = {
    "invalid_client": 7000215,
    "invalid_grant": 70000,
    "invalid_request": 900144,
    "invalid_scope": 70011,
    "server_error": 90033,
    "unsupported_grant_type": 70003,
}
UNNAMED_ERROR_NUMBER = 90000
_WRONG_CLIENT = "AADSTS7000215: The client is unknown or its secret is wrong."


class Revocation(RevocationEndpoint):
    """Token revocation (RFC 7009): either token revokes the whole grant."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token: str, token_type_hint: str | None) -> Token | None:
        # The hint only suggests where to look first (RFC 7009 2.1).
        by_access_token = Token.objects.with_access_token(token).first()
        return by_access_token or Token.objects.with_refresh_token(token).first()

    def revoke_token(self, token: Token, request: Any) -> None:
        Grant.objects.filter(pk=token.grant_id).revoke()


class SandboxServer(AuthorizationServer):
    def query_client(self, client_id: str) -> Client | None:
        return Client() if client_id == SANDBOX_CLIENT_ID else None

    def authenticate_client(
        self, request: Any, methods: list[str], endpoint: str = "token"
    ) -> Client:
        try:
            client: Client = super().authenticate_client(request, methods, endpoint)
        except (InvalidClientError, ValueError) as error:  # ValueError: an undecodable Basic header
            said = error.get_error_description() if isinstance(error, InvalidClientError) else ""
            why = said if said.startswith("AADSTS") else _WRONG_CLIENT
            if request.form.get("client_secret") == SANDBOX_EXPIRED_SECRET:
                why = "AADSTS7000222: The provided client secret keys for the app are expired."
            raise InvalidClientError(why, status_code=401) from None
        return client

    def create_bearer_token_generator(self) -> BearerTokenGenerator:
        return BearerTokenGenerator(
            access_token_generator=lambda **_: generate_token(64),
            refresh_token_generator=lambda **_: generate_token(64),
            expires_generator=int(ACCESS_TOKEN_LIFETIME.total_seconds()),
        )

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        if request.authorization_code:
            grant = request.authorization_code
        elif request.refresh_token:
            grant = request.refresh_token.grant
        else:
            grant = Grant.objects.create(
                scope=token.get("scope") or request.payload.scope or "",
                resource=requested_resource(request),
            )
        Token.objects.create(
            grant=grant,
            access_token_digest=sealing.digest(token["access_token"]),
            # An application gets none, so nobody knows this one.
            refresh_token_digest=sealing.digest(token.get("refresh_token") or generate_token(64)),
            expires_at=timezone.now() + ACCESS_TOKEN_LIFETIME,
        )
        if resource := requested_resource(request) or grant.resource:
            token["resource"] = resource

    def handle_response(
        self, status_code: int, payload: Any, headers: list[tuple[str, str]]
    ) -> HttpResponse:
        # Every response to a callback names its issuer (RFC 9207 2).
        headers = [
            (name, add_params_to_uri(value, {"iss": issuer()}) if name == "Location" else value)
            for name, value in headers
        ]
        response: HttpResponse = super().handle_response(status_code, payload, headers)
        return response

    def handle_error_response(self, request: Any, error: OAuth2Error) -> HttpResponse:
        status_code, body, headers = error()
        if not error.redirect_uri:
            body = microsoft_error(error.error, error.get_error_description())
        return self.handle_response(status_code, body, headers)


class AccessTokenValidator(BearerTokenValidator):
    def authenticate_token(self, token_string: str) -> Token | None:
        return Token.objects.with_access_token(token_string).first()


def issuer() -> str:
    """Return the sandbox's issuer identifier (RFC 8414 2)."""
    return f"{settings.PUBLIC_URL}/sandbox"


def microsoft_error(error: str, description: str) -> dict[str, Any]:
    """Build an OAuth error body (RFC 6749 5.2) with Microsoft's extra fields."""
    description = description or "The request was rejected."
    if not description.startswith("AADSTS"):
        description = f"AADSTS{ERROR_NUMBERS.get(error, UNNAMED_ERROR_NUMBER)}: {description}"
    return {
        "error": error,
        "error_description": description,
        "error_codes": [int(number) for number in re.findall(r"^AADSTS(\d+)", description)],
        "timestamp": timezone.now().strftime("%Y-%m-%d %H:%M:%SZ"),
        "trace_id": str(uuid.uuid4()),
        "correlation_id": str(uuid.uuid4()),
    }


server = SandboxServer(Client, Token)
server.register_grant(CodeGrant, [S256Challenge(required=False)])
server.register_grant(RefreshGrant)
server.register_grant(PasswordGrant)
server.register_grant(ApplicationGrant)
server.register_client_auth_method(ASSERTION_METHOD, CertificateAssertion())
server.register_endpoint(Revocation)

protector = ResourceProtector()
protector.register_token_validator(AccessTokenValidator(realm="sandbox"))
