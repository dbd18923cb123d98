"""OAuth grants: authorization code with PKCE, refresh token, password, and the application itself.

Authlib saves the new tokens first, and then calls a method to invalidate the old credential. That method claims the
code or refresh token: a second use gets an error instead of tokens, and revokes the grant with the tokens just saved.
"""

from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from django.utils.crypto import constant_time_compare
from django.utils.encoding import iri_to_uri

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from instances.crypto import sealing
from instances.sandbox.client import ASSERTION_METHOD, AUTH_METHODS, Client
from instances.sandbox.models import Grant, Token
from instances.sandbox.refusals import refuse_account, refuse_host


class CodeGrant(grants.AuthorizationCodeGrant):
    """Authorization code (RFC 6749 4.1): single use, 10 minutes, PKCE."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    @staticmethod
    def validate_authorization_redirect_uri(request: Any, client: Client) -> str:
        redirect_uri: str = request.payload.redirect_uri or ""
        if not client.check_redirect_uri(redirect_uri):
            raise InvalidRequestError(
                "AADSTS50011: The redirect_uri of the request is not allowed. The sandbox only redirects to this "
                "computer, for example http://localhost:8000/oauth/callback."
            )
        return redirect_uri

    def save_authorization_code(self, code: str, request: Any) -> None:
        Grant.objects.create(
            code_digest=sealing.digest(code),
            code_challenge=request.payload.data.get("code_challenge", ""),
            redirect_uri=request.payload.redirect_uri,
            scope=request.scope,
            resource=requested_resource(request),
        )

    def query_authorization_code(self, code: str, client: Client) -> Grant:
        grant = Grant.objects.with_code(code).live().first()
        if grant is None:
            raise InvalidGrantError("AADSTS70000: The code is unknown, or its grant was revoked.")
        if grant.is_code_expired():
            raise InvalidGrantError("AADSTS70008: The code has expired. Sign in again.")
        return grant

    def authenticate_user(self, authorization_code: Grant) -> str:
        return SANDBOX_USERNAME

    def delete_authorization_code(self, authorization_code: Grant) -> None:
        if not authorization_code.claim_code():
            raise InvalidGrantError("AADSTS54005: The code was already redeemed. Sign in again.")


class RefreshGrant(grants.RefreshTokenGrant):
    """Refresh token (RFC 6749 6), rotating (RFC 9700 4.14)."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Token:
        token = Token.objects.with_refresh_token(refresh_token).first()
        if token is None or token.is_revoked():
            raise InvalidGrantError("AADSTS50173: The grant was revoked. Sign in again.")
        return token

    def authenticate_user(self, refresh_token: Token) -> str:
        return SANDBOX_USERNAME

    def revoke_old_credential(self, refresh_token: Token) -> None:
        if not refresh_token.claim_rotation():
            raise InvalidGrantError(
                "AADSTS50173: The refresh token was used before, so its grant was revoked. Sign in again."
            )


class PasswordGrant(grants.ResourceOwnerPasswordCredentialsGrant):
    """User name and password (RFC 6749 4.3)."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def authenticate_user(self, username: str, password: str) -> str:
        refuse_account(username)
        refuse_host(requested_resource(self.request))
        if not is_account(username, password):
            raise InvalidGrantError(
                "AADSTS50126: Error validating credentials due to invalid username or password."
            )
        return SANDBOX_USERNAME


class ApplicationGrant(grants.ClientCredentialsGrant):
    """The application itself (RFC 6749 4.4), by its secret or a certificate, in an environment that has its user."""

    TOKEN_ENDPOINT_AUTH_METHODS = [*AUTH_METHODS, ASSERTION_METHOD]

    def validate_requested_scope(self) -> None:
        scope = self.request.payload.scope or ""
        if not scope.endswith("/.default"):
            raise InvalidScopeError(
                "AADSTS1002012: The provided value for scope is not valid. It must be suffixed with /.default."
            )
        refuse_host(scope)


class S256Challenge(CodeChallenge):
    """PKCE (RFC 7636) with S256 only.

    plain is rejected, also if it is implied by an absent method.
    """

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        super().validate_code_challenge(grant, redirect_uri)
        asked = grant.request.payload.data
        if asked.get("code_challenge") and not asked.get("code_challenge_method"):
            raise InvalidRequestError("The code_challenge_method must be S256.")

    def get_authorization_code_challenge_method(self, authorization_code: Grant) -> str:
        return "S256"


def is_account(username: str, password: str) -> bool:
    """Whether these are the user name and password of the sandbox's only account."""
    is_username = constant_time_compare(username.casefold(), SANDBOX_USERNAME)
    return constant_time_compare(password, SANDBOX_PASSWORD) and is_username


def requested_resource(request: Any) -> str:
    """Return the URI of the requested API (RFC 8707 2); empty if there is none."""
    resource: str = request.payload.data.get("resource", "")
    return iri_to_uri(resource)
