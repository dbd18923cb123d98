"""The Platform protocol and its types: what a platform takes and what it returns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit
from uuid import UUID

from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.definition import ElementDefinition
from instances.catalogue.hosts import AllowedHosts
from instances.deadlines import Deadline
from instances.errors import InvalidConfigurationError, PlatformError
from instances.models import Organization, OrganizationUser


@dataclass(frozen=True, slots=True)
class TokenSet:
    """The response of a provider's token endpoint (RFC 6749 5.1)."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    token_secret: str = field(default="", repr=False)
    scope: str = ""
    # Aware, UTC; None if the provider sent no expires_in.
    expires_at: datetime | None = None
    # When the refresh token ends if it is not used before, and when every refresh token of this consent ends. Aware,
    # UTC; None if neither the provider nor the element's file states it.
    refresh_expires_at: datetime | None = None
    grant_expires_at: datetime | None = None
    # The response's other string fields, which later calls need (instance_url, realmId).
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Asked for, and not granted.
    missing_scopes: tuple[str, ...] = ()
    # What identifies the account in this response, by field; not part of the stored JSON.
    account: Mapping[str, str] = field(default_factory=dict, compare=False)

    def to_json(self) -> dict[str, Any]:
        ends = {name: getattr(self, name) for name in ("refresh_expires_at", "grant_expires_at")}
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "token_secret": self.token_secret,
            "scope": self.scope,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            "extra": dict(self.extra),
            "missing_scopes": list(self.missing_scopes),
            **{name: at.isoformat() for name, at in ends.items() if at},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        ends = ("expires_at", "refresh_expires_at", "grant_expires_at")
        read: dict[str, Any] = {
            name: datetime.fromisoformat(stored[name]) for name in ends if stored.get(name)
        }
        read["missing_scopes"] = tuple(stored.get("missing_scopes", ()))
        return cls(**{**stored, **read})


@dataclass(frozen=True, slots=True)
class RequestToken:
    """Temporary credentials of OAuth 1.0a (RFC 5849 2.1)."""

    # Part of the authorization URL.
    token: str
    # Signs the request for the access token.
    secret: str = field(repr=False)


def code_in(provider_data: Mapping[str, str]) -> str:
    """Return a callback's authorization code or OAuth 1.0a verifier; else empty."""
    return provider_data.get("code") or provider_data.get("oauth_verifier", "")


def callback_with_state(callback_url: str, state: str) -> str:
    """Add the state to an OAuth 1.0a callback URL (contract 11.1).

    A state that is already in the URL stays. Raises InvalidConfigurationError.
    """
    try:
        parts = urlsplit(callback_url)
    except ValueError:
        raise InvalidConfigurationError("oauth.callback.url", "is not a URL.") from None
    if "state" in parse_qs(parts.query, keep_blank_values=True):
        return callback_url
    query = "&".join(filter(None, [parts.query, urlencode({"state": state})]))
    return urlunsplit(parts._replace(query=query))


@dataclass(frozen=True, slots=True)
class PlatformRequest:
    """An instance as a platform needs it, with secrets in clear: never stored."""

    instance_id: int | None
    uid: UUID
    # How messages and recorded exchanges name the instance.
    label: str
    name: str
    organization_user: OrganizationUser
    element: ElementDefinition
    authentication: AuthenticationType
    # Complete: plain keys, secret keys, and the OAuth app's client if the instance names none.
    configuration: Mapping[str, Any] = field(repr=False)
    tags: tuple[str, ...] = ()
    external_authentication: str = "none"
    # The callback's query parameters.
    provider_data: Mapping[str, str] = field(default_factory=dict, repr=False)
    code_verifier: str = field(default="", repr=False)
    # Set once the platform has the instance.
    remote_id: int | None = None
    tokens: TokenSet | None = None
    # Whether the OAuth client, if any, is the account's own and not the operator's OAuth app.
    has_own_client: bool = True
    # The row had an Element token that can no longer be decrypted.
    has_lost_token: bool = False
    # Where requests may go, in addition to the element's own hosts.
    allowed_hosts: AllowedHosts = field(default_factory=AllowedHosts)
    actor: str = ""
    # No request may be sent after it; None if no other process could send the same one.
    deadline: Deadline | None = field(default=None, compare=False)

    @property
    def organization(self) -> Organization:
        return self.organization_user.organization

    @property
    def private_hosts(self) -> tuple[str, ...]:
        """Hosts with private addresses that operators allowed for this element."""
        return tuple(self.organization.private_hosts.get(self.element.key, ()))

    @property
    def tag(self) -> str:
        """The tag that finds the instance at a remote platform."""
        return f"im-{self.uid}"

    @property
    def secrets(self) -> frozenset[str]:
        """The values that no record of an exchange may show."""
        values = {
            str(value)
            for key, value in self.configuration.items()
            # A boolean whose key looks secret must not redact every true and false of a document.
            if str(value).lower() not in {"", "none", "true", "false"}
            and self.element.is_secret(key)
        }
        values |= set(self.provider_data.values()) | {self.code_verifier}
        if self.tokens:
            tokens = self.tokens
            values |= {tokens.access_token, tokens.refresh_token, tokens.token_secret}
            of_session = self.authentication.lookup.secrets if self.authentication.lookup else ()
            values |= {tokens.extra.get(name, "") for name in of_session}
        return frozenset(values - {""})


@dataclass(frozen=True, slots=True)
class PlatformInstance:
    """An instance as a platform knows it."""

    token: str = field(repr=False)
    remote_id: int | None = None
    tokens: TokenSet | None = None
    is_valid: bool = True
    # Whether an exchange proved the credentials.
    is_proved: bool = True
    # What identifies the account at the provider, by field, as far as the responses tell.
    account: Mapping[str, str] = field(default_factory=dict)
    # Why the probe could not be answered, although the provider issued tokens.
    probe_error: PlatformError | None = None
    is_disabled: bool = False


@dataclass(frozen=True, slots=True)
class CallHeaders:
    """Headers of a data call. defaults: the caller's own replace them; credentials: replace the caller's.

    secrets: what is part of them and no record may show, in addition to the request's secrets.
    """

    defaults: Mapping[str, str]
    credentials: Mapping[str, str] = field(repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class ListedInstance:
    """One entry of a platform's list of a user's instances.

    Secrets in configuration are masked.
    """

    instance: PlatformInstance
    name: str
    element: str
    authentication_type: str
    tags: tuple[str, ...]
    configuration: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UnusableListing:
    """An invalid entry of a platform's list, and a sentence that says why."""

    name: str
    error: str


class Platform(Protocol):
    """Turn a request into an instance.

    Every method raises PlatformError if an exchange fails.
    """

    def request_token(self, request: PlatformRequest, *, state: str) -> RequestToken:
        """Get OAuth 1.0a's temporary credentials, before oauth_url().

        The callback returns state.
        """
        ...

    def oauth_url(self, request: PlatformRequest, *, state: str) -> str:
        """Return the URL that the browser is sent to for authorization.

        A code_verifier is sent as an S256 challenge (RFC 7636 4.3) if the platform supports it. OAuth 1.0a expects
        the request token in provider_data, as oauth_token.
        """
        ...

    def find_choices(self, request: PlatformRequest) -> list[tuple[str, str]]:
        """Use up the code in provider_data for the list of what the account may use (authentication.discovery).

        Returns pairs of a value and its label; empty if the platform has no such list.
        """
        ...

    def creates_without_exchange(self, request: PlatformRequest) -> bool:
        """Whether create_instance() sends nothing, so no response can be lost."""
        ...

    def create_instance(self, request: PlatformRequest) -> PlatformInstance:
        """Authenticate at the provider and generate the Element token.

        Raises OutcomeUnknownError if the platform may have created the instance although its response was lost.
        """
        ...

    def update_instance(self, request: PlatformRequest) -> PlatformInstance:
        """Authenticate again with the request's configuration or provider_data.

        Id and token stay.

        Returns the token only if the row has lost it.
        """
        ...

    def get_instance(self, request: PlatformRequest) -> PlatformInstance:
        """Check that it works, by probe or by the remote platform's record.

        Without either, the result is not proved.
        """
        ...

    def refresh_tokens(self, request: PlatformRequest) -> TokenSet | None:
        """Return new tokens; None if they cannot be refreshed.

        This may use up the refresh token (RFC 6749 6).

        The caller must have claimed the instance. Raises GrantRejectedError if the grant expired or was revoked.
        """
        ...

    def open_session(self, request: PlatformRequest) -> TokenSet | None:
        """Sign in a second time with the request's new tokens, which lack the session that calls need.

        Return them with it; None if that fails, which is recorded.
        """
        ...

    def describe_instance(self, request: PlatformRequest) -> None:
        """Send name, tags and configuration, without authenticating again."""
        ...

    def set_enabled(self, request: PlatformRequest, *, is_enabled: bool) -> None:
        """Enable or disable it on the platform; safe to repeat."""
        ...

    def delete_instance(self, request: PlatformRequest) -> None:
        """Delete it and revoke its tokens if possible.

        A missing instance is not an error.
        """
        ...

    def find_instances(self, request: PlatformRequest) -> list[PlatformInstance]:
        """Return the instances with the request's tag, left by a lost response."""
        ...

    def list_instances(
        self, user: OrganizationUser, *, actor: str
    ) -> Iterator[ListedInstance | UnusableListing]:
        """Yield all of a user's instances on the platform, whoever created them.

        None on the embedded platform.
        """
        ...
