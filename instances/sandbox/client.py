"""The sandbox's only OAuth client.

Its credentials are public; its callbacks must be on this computer.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.utils.crypto import constant_time_compare

from instances.catalogue.sandbox import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET

GRANT_TYPES = {"authorization_code", "refresh_token", "password", "client_credentials"}
AUTH_METHODS = ["client_secret_basic", "client_secret_post"]
# Authlib's name of private_key_jwt.
ASSERTION_METHOD = "client_assertion_jwt"


class Client:
    """A client as Authlib expects it (authlib.oauth2.rfc6749.ClientMixin)."""

    def get_client_id(self) -> str:
        return SANDBOX_CLIENT_ID

    def check_client_secret(self, client_secret: str) -> bool:
        return constant_time_compare(client_secret, SANDBOX_CLIENT_SECRET)

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in {*AUTH_METHODS, ASSERTION_METHOD}

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in GRANT_TYPES

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Allow every requested scope; None if it is malformed (RFC 6749 3.3)."""
        scope = scope or ""
        return scope if scope.isascii() and scope.isprintable() else None

    def get_default_redirect_uri(self) -> None:
        # Any loopback port is allowed, so the request must name one.
        return None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Allow loopback addresses with any port (RFC 8252 7.3), and PUBLIC_URL."""
        try:
            parts = urlsplit(redirect_uri)
            is_loopback = parts.hostname in settings.LOOPBACK_HOSTS and parts.port != 0
        except ValueError:
            return False
        origin = f"{parts.scheme}://{parts.netloc}"
        is_plain = (
            redirect_uri.isascii() and redirect_uri.isprintable() and "\\" not in redirect_uri
        )
        return (
            is_plain
            and parts.scheme in {"http", "https"}
            and not parts.fragment
            and "@" not in parts.netloc
            and (is_loopback or origin == settings.PUBLIC_URL)
        )
