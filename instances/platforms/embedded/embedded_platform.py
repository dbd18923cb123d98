"""The embedded platform calls providers itself and generates Element tokens."""

import base64
import secrets
from collections.abc import Iterator
from dataclasses import replace

import structlog

from instances.catalogue.authentication import AuthenticationKind, GrantType
from instances.errors import (
    GrantRejectedError,
    InstancesError,
    MissingConfigurationError,
    PlatformError,
)
from instances.models import Organization, OrganizationUser
from instances.platforms.base import (
    ListedInstance,
    PlatformInstance,
    PlatformRequest,
    RequestToken,
    TokenSet,
)
from instances.platforms.embedded import oauth1, oauth2
from instances.platforms.embedded.discovery import find_choices
from instances.platforms.embedded.lookup import (
    looked_up,
    opened_session,
    without_found,
    without_session,
)
from instances.platforms.embedded.probe import prove
from instances.platforms.embedded.templates import require_allowed_hosts

TOKEN_BYTES = 32
IMPORTED_KEYS = ("oauth.user.token", "oauth.user.refresh_token")

log = structlog.stdlib.get_logger(__name__)


class EmbeddedPlatform:
    """Implement base.Platform.

    For an existing instance it returns an empty token; the row has it.
    """

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def request_token(self, request: PlatformRequest, *, state: str) -> RequestToken:
        require_allowed_hosts(request)
        return oauth1.request_token(request, state=state)

    def oauth_url(self, request: PlatformRequest, *, state: str) -> str:
        require_allowed_hosts(request)
        if request.authentication.type == AuthenticationKind.OAUTH1:
            return oauth1.authorization_url(request)
        return oauth2.authorization_url(request, state=state)

    def find_choices(self, request: PlatformRequest) -> list[tuple[str, str]]:
        return find_choices(request)

    def creates_without_exchange(self, request: PlatformRequest) -> bool:
        way = request.authentication
        is_taken_on_trust = way.probe is None and not way.obtains_token
        return request.external_authentication == "initial" or is_taken_on_trust

    def create_instance(self, request: PlatformRequest) -> PlatformInstance:
        require_allowed_hosts(request)
        if request.external_authentication == "initial":
            # Nothing is sent at creation; the first refresh replaces the tokens (contract 7.4).
            tokens = _imported_tokens(request)
            return PlatformInstance(token=generate_token(), tokens=tokens, is_proved=False)
        return _authenticated(request, token=generate_token())

    def update_instance(self, request: PlatformRequest) -> PlatformInstance:
        require_allowed_hosts(request)
        return _authenticated(request, token=generate_token() if request.has_lost_token else "")

    def get_instance(self, request: PlatformRequest) -> PlatformInstance:
        before = request.tokens
        tokens = looked_up(request, before) if before else None
        account = prove(replace(request, tokens=tokens))
        has_probe = request.authentication.probe is not None
        # Only what a lookup has added is news.
        news = None if tokens == before else tokens
        return PlatformInstance(token="", tokens=news, is_proved=has_probe, account=account)

    def refresh_tokens(self, request: PlatformRequest) -> TokenSet | None:
        tokens = _refreshed(request)
        return without_session(request.authentication, tokens) if tokens else None

    def open_session(self, request: PlatformRequest) -> TokenSet | None:
        return opened_session(request)

    def describe_instance(self, request: PlatformRequest) -> None:
        """Do nothing: name, tags and configuration are in the row."""

    def set_enabled(self, request: PlatformRequest, *, is_enabled: bool) -> None:
        """Do nothing: providers have no such flag, and ours is in the row."""

    def delete_instance(self, request: PlatformRequest) -> None:
        """Revoke the tokens if possible.

        A failed revocation is recorded, but does not prevent the deletion.
        """
        if not (request.tokens and request.authentication.revocation_endpoint):
            return
        try:
            oauth2.revoke_token(request)
        except InstancesError as error:
            log.warning("token not revoked", uid=str(request.uid), why=str(error))

    def find_instances(self, request: PlatformRequest) -> list[PlatformInstance]:
        """Return none: no response can be lost between this program and itself."""
        return []

    def list_instances(self, user: OrganizationUser, *, actor: str) -> Iterator[ListedInstance]:
        """Yield none: all instances are already in the database."""
        return iter(())


def _authenticated(request: PlatformRequest, *, token: str) -> PlatformInstance:
    """Get tokens, if there are any, and verify them with the probe."""
    way = request.authentication
    if request.tokens:
        request = replace(request, tokens=without_found(way, request.tokens))
    tokens = _obtain(request)
    account = dict(tokens.account) if tokens else {}
    try:
        # The deadline is only for requests that must not be sent twice.
        request = replace(request, deadline=None)
        if tokens:
            tokens = without_session(way, tokens)
            tokens = looked_up(request, tokens)
        account = prove(replace(request, tokens=tokens)) | account
    except PlatformError as error:
        # The code is used up: keep the tokens even if the probe cannot be answered now.
        if not (request.authentication.needs_browser and error.is_retryable):
            raise
        return PlatformInstance(
            token=token, tokens=tokens, is_proved=False, probe_error=error, account=account
        )
    is_proved = way.probe is not None or way.obtains_token
    return PlatformInstance(token=token, tokens=tokens, is_proved=is_proved, account=account)


def _refreshed(request: PlatformRequest) -> TokenSet | None:
    way = request.authentication
    can_sign_in = way.signs_in_alone
    # A new assertion replaces a refresh token (RFC 7521 4.1).
    is_signed = way.grant_type == GrantType.JWT_BEARER
    if request.tokens and request.tokens.refresh_token and not is_signed:
        try:
            return oauth2.refresh_token(request)
        except GrantRejectedError:
            if not can_sign_in:
                raise
    return oauth2.obtain_token(request) if can_sign_in else None


def _obtain(request: PlatformRequest) -> TokenSet | None:
    if request.authentication.type == AuthenticationKind.OAUTH1:
        return oauth1.exchange_verifier(request)
    if request.authentication.grant_type == GrantType.AUTHORIZATION_CODE:
        return oauth2.exchange_code(request)
    if request.authentication.grant_type:
        return oauth2.obtain_token(request)
    return None


def _imported_tokens(request: PlatformRequest) -> TokenSet:
    access_token, refresh_token = (
        str(request.configuration.get(key) or "") for key in IMPORTED_KEYS
    )
    if not (access_token or refresh_token):
        raise MissingConfigurationError(IMPORTED_KEYS)
    token_secret = str(request.configuration.get("oauth.user.token.secret") or "")
    return TokenSet(access_token, refresh_token, token_secret)


def generate_token() -> str:
    """Return a new Element token: 32 random bytes in base64 (contract 2.1)."""
    return base64.b64encode(secrets.token_bytes(TOKEN_BYTES)).decode()
