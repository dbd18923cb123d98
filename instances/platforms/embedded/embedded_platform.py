"""This program itself as the platform: it speaks to the provider and mints the Element token."""

import base64
import secrets
from collections.abc import Iterator
from dataclasses import replace

import structlog

from instances.catalogue.definition import AuthenticationKind, GrantType
from instances.errors import (
    GrantRejectedError,
    InstancesError,
    MissingConfigurationError,
    PlatformError,
)
from instances.models import Organization, OrganizationUser
from instances.platforms.base import (
    InstanceDraft,
    ListedInstance,
    PlatformInstance,
    RequestToken,
    TokenSet,
)
from instances.platforms.embedded import oauth1, oauth2
from instances.platforms.embedded.probe import prove
from instances.platforms.embedded.templates import require_allowed_hosts

TOKEN_BYTES = 32
_WITHOUT_BROWSER = {GrantType.PASSWORD, GrantType.CLIENT_CREDENTIALS}
IMPORTED_KEYS = ("oauth.user.token", "oauth.user.refresh_token")

log = structlog.stdlib.get_logger(__name__)


class EmbeddedPlatform:
    """Implements base.Platform. Of an instance that exists it answers an empty token: the row has it."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def request_token(self, draft: InstanceDraft, *, state: str) -> RequestToken:
        require_allowed_hosts(draft)
        return oauth1.request_token(draft, state=state)

    def oauth_url(self, draft: InstanceDraft, *, state: str) -> str:
        require_allowed_hosts(draft)
        if draft.authentication.type == AuthenticationKind.OAUTH1:
            return oauth1.authorization_url(draft)
        return oauth2.authorization_url(draft, state=state)

    def creates_without_exchange(self, draft: InstanceDraft) -> bool:
        way = draft.authentication
        is_taken_on_trust = way.probe is None and not way.obtains_token
        return draft.external_authentication == "initial" or is_taken_on_trust

    def create_instance(self, draft: InstanceDraft) -> PlatformInstance:
        require_allowed_hosts(draft)
        if draft.external_authentication == "initial":
            # Nothing is exchanged at creation; the first refresh replaces the tokens (contract 7.4).
            return PlatformInstance(token=_mint_token(), tokens=_imported_tokens(draft))
        return _authenticated(draft, token=_mint_token())

    def update_instance(self, draft: InstanceDraft) -> PlatformInstance:
        require_allowed_hosts(draft)
        return _authenticated(draft, token=_mint_token() if draft.has_lost_token else "")

    def get_instance(self, draft: InstanceDraft) -> PlatformInstance:
        prove(draft)
        return PlatformInstance(token="")

    def refresh_tokens(self, draft: InstanceDraft) -> TokenSet | None:
        can_sign_in = draft.authentication.grant_type in _WITHOUT_BROWSER
        if draft.tokens and draft.tokens.refresh_token:
            try:
                return oauth2.refresh_token(draft)
            except GrantRejectedError:
                if not can_sign_in:
                    raise
        return oauth2.obtain_token(draft) if can_sign_in else None

    def describe_instance(self, draft: InstanceDraft) -> None:
        """Nothing to do: name, tags and configuration are in the row."""

    def set_enabled(self, draft: InstanceDraft, *, is_enabled: bool) -> None:
        """Nothing to do: the provider knows no such thing, and the flag is in the row."""

    def delete_instance(self, draft: InstanceDraft) -> None:
        """A provider that does not revoke the grant must not keep an instance alive; the exchange is recorded."""
        if not (draft.tokens and draft.authentication.revocation_endpoint):
            return
        try:
            oauth2.revoke_token(draft)
        except InstancesError as error:
            log.warning("token not revoked", uid=str(draft.uid), why=str(error))

    def find_instances(self, draft: InstanceDraft) -> list[PlatformInstance]:
        """None, ever: an instance is here or it is not, and no answer of ours gets lost."""
        return []

    def list_instances(self, user: OrganizationUser, *, actor: str) -> Iterator[ListedInstance]:
        """None: they are all here."""
        return iter(())


def _authenticated(draft: InstanceDraft, *, token: str) -> PlatformInstance:
    """With tokens, where the way of authentication has any, proved by the probe."""
    tokens = _obtain(draft)
    try:
        # The deadline is for what must not be sent twice.
        prove(replace(draft, tokens=tokens, deadline=None))
    except PlatformError as error:
        # The code is spent: what it brought must not be lost with an outage of the probe's.
        if not (draft.authentication.needs_browser and error.retryable):
            raise
        return PlatformInstance(token=token, tokens=tokens, is_proved=False)
    return PlatformInstance(token=token, tokens=tokens)


def _obtain(draft: InstanceDraft) -> TokenSet | None:
    if draft.authentication.type == AuthenticationKind.OAUTH1:
        return oauth1.exchange_verifier(draft)
    if draft.authentication.grant_type == GrantType.AUTHORIZATION_CODE:
        return oauth2.exchange_code(draft)
    if draft.authentication.grant_type:
        return oauth2.obtain_token(draft)
    return None


def _imported_tokens(draft: InstanceDraft) -> TokenSet:
    access_token, refresh_token = (str(draft.configuration.get(key) or "") for key in IMPORTED_KEYS)
    if not (access_token or refresh_token):
        raise MissingConfigurationError(IMPORTED_KEYS)
    token_secret = str(draft.configuration.get("oauth.user.token.secret") or "")
    return TokenSet(access_token, refresh_token, token_secret)


def _mint_token() -> str:
    """An Element token: 32 random bytes in base64 (contract 2.1)."""
    return base64.b64encode(secrets.token_bytes(TOKEN_BYTES)).decode()
