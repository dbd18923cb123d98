"""The words platforms speak: what goes into one, what comes out, and the verbs between."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit
from uuid import UUID

from instances.catalogue.definition import AuthenticationType, ElementDefinition
from instances.catalogue.hosts import AllowedHosts
from instances.deadlines import Deadline
from instances.errors import InvalidConfigurationError
from instances.models import Organization, OrganizationUser


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What a provider's token endpoint gave (RFC 6749 5.1).

    expires_at is aware, UTC; None where the provider sent no expires_in. extra holds the answer's other
    string fields that later calls need (instance_url, realmId).
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    token_secret: str = field(default="", repr=False)
    scope: str = ""
    expires_at: datetime | None = None
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "token_secret": self.token_secret,
            "scope": self.scope,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            "extra": dict(self.extra),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        expires_at = stored["expires_at"]
        return cls(
            **{**stored, "expires_at": datetime.fromisoformat(expires_at) if expires_at else None}
        )


@dataclass(frozen=True, slots=True)
class RequestToken:
    """What a provider gave for OAuth 1.0a's first step (RFC 5849 2.1). token goes into the authorization URL,
    secret signs the last step.
    """

    token: str
    secret: str = field(repr=False)


def code_in(provider_data: Mapping[str, str]) -> str:
    """What a callback brings that works once: the authorization code, or OAuth 1.0a's verifier; else empty."""
    return provider_data.get("code") or provider_data.get("oauth_verifier", "")


def callback_with_state(callback_url: str, state: str) -> str:
    """An OAuth 1.0a callback that brings back the state (contract 11.1), for which RFC 5849 has no parameter.

    A state that the URL carries already stays. Raises InvalidConfigurationError.
    """
    try:
        parts = urlsplit(callback_url)
    except ValueError:
        raise InvalidConfigurationError("oauth.callback.url", "is no URL.") from None
    if "state" in parse_qs(parts.query, keep_blank_values=True):
        return callback_url
    query = "&".join(filter(None, [parts.query, urlencode({"state": state})]))
    return urlunsplit(parts._replace(query=query))


@dataclass(frozen=True, slots=True)
class PlatformRequest:
    """An instance as a platform needs it, with its secrets in clear: never stored, never shown.

    configuration is complete: plain keys, secret keys, and the OAuth app's client where the instance names
    none. provider_data is the callback's query. instance_id and label name it in recorded exchanges.
    remote_id and tokens are there once the platform has it. has_lost_token: its row had an Element token that cannot
    be read any more. tag finds it at a remote platform. allowed_hosts: where requests may go, beside the element's
    own hosts. deadline: no request may leave after it; None where nobody else would send the same.
    """

    instance_id: int | None
    uid: UUID
    label: str
    name: str
    organization_user: OrganizationUser
    element: ElementDefinition
    authentication: AuthenticationType
    configuration: Mapping[str, Any] = field(repr=False)
    tags: tuple[str, ...] = ()
    external_authentication: str = "none"
    provider_data: Mapping[str, str] = field(default_factory=dict, repr=False)
    code_verifier: str = field(default="", repr=False)
    remote_id: int | None = None
    tokens: TokenSet | None = None
    has_lost_token: bool = False
    allowed_hosts: AllowedHosts = field(default_factory=AllowedHosts)
    actor: str = ""
    deadline: Deadline | None = field(default=None, compare=False)

    @property
    def organization(self) -> Organization:
        return self.organization_user.organization

    @property
    def private_hosts(self) -> tuple[str, ...]:
        """Which may be called though their address is private: operators listed them for this element."""
        return tuple(self.organization.private_hosts.get(self.element.key, ()))

    @property
    def tag(self) -> str:
        return f"im-{self.uid}"

    @property
    def secrets(self) -> frozenset[str]:
        """Every value that no record of an exchange may show."""
        found = {
            str(value)
            for key, value in self.configuration.items()
            # A switch whose key looks secret must not blacken every true and false of a document.
            if str(value).lower() not in {"", "none", "true", "false"}
            and self.element.is_secret(key)
        }
        found |= set(self.provider_data.values()) | {self.code_verifier}
        if self.tokens:
            tokens = self.tokens
            found |= {tokens.access_token, tokens.refresh_token, tokens.token_secret}
        return frozenset(found - {""})


@dataclass(frozen=True, slots=True)
class PlatformInstance:
    """An instance as a platform has it.

    is_proved: whether the credentials were tried out; not while the provider gave tokens, but could not be asked
    whether they work.
    """

    token: str = field(repr=False)
    remote_id: int | None = None
    tokens: TokenSet | None = None
    is_valid: bool = True
    is_proved: bool = True
    is_disabled: bool = False


@dataclass(frozen=True, slots=True)
class ListedInstance:
    """An instance that a platform has of a user, with what it tells of it; secrets in configuration are masked."""

    instance: PlatformInstance
    name: str
    element: str
    authentication_type: str
    tags: tuple[str, ...]
    configuration: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UnusableListing:
    """An entry of a platform's list that makes no sense, and a sentence about it."""

    name: str
    error: str


class Platform(Protocol):
    """Turns a draft into an instance. Every method raises PlatformError when an exchange fails."""

    def request_token(self, request: PlatformRequest, *, state: str) -> RequestToken:
        """OAuth 1.0a's first step, before oauth_url(). The callback brings state back."""
        ...

    def oauth_url(self, request: PlatformRequest, *, state: str) -> str:
        """Where the browser is sent to authorize. The draft's code_verifier, if any, is honoured with
        an S256 challenge (RFC 7636 4.3) where the platform can; OAuth 1.0a has the request token in
        provider_data, as oauth_token.
        """
        ...

    def creates_without_exchange(self, request: PlatformRequest) -> bool:
        """Whether create_instance() sends nothing for this draft: then no answer can be lost."""
        ...

    def create_instance(self, request: PlatformRequest) -> PlatformInstance:
        """Authenticate at the provider and mint the Element token.

        Raises OutcomeUnknownError when the platform may have created it without our hearing of it.
        """
        ...

    def update_instance(self, request: PlatformRequest) -> PlatformInstance:
        """Authenticate again with the draft's configuration or provider_data; keeps id and token, and answers the
        token where the row has lost it.
        """
        ...

    def get_instance(self, request: PlatformRequest) -> PlatformInstance:
        """Ask whether it works: the element's probe, or the remote platform's record of it."""
        ...

    def refresh_tokens(self, request: PlatformRequest) -> TokenSet | None:
        """New tokens for the draft's, whose refresh token may be spent with it (RFC 6749 6); None: no way to.

        Whoever calls this has claimed the instance. Raises GrantRejectedError when the grant is dead.
        """
        ...

    def describe_instance(self, request: PlatformRequest) -> None:
        """Tell the platform its name, tags and configuration, without authenticating again."""
        ...

    def set_enabled(self, request: PlatformRequest, *, is_enabled: bool) -> None:
        """Enable or disable it at the platform; doing so twice is fine."""
        ...

    def delete_instance(self, request: PlatformRequest) -> None:
        """Remove it and revoke what can be revoked; an instance that is gone already is no error."""
        ...

    def find_instances(self, request: PlatformRequest) -> list[PlatformInstance]:
        """Those that carry the draft's tag: what a lost answer may have left behind."""
        ...

    def list_instances(
        self, user: OrganizationUser, *, actor: str
    ) -> Iterator[ListedInstance | UnusableListing]:
        """All that the platform has of a user, whoever made them; nothing where that is this program itself."""
        ...
