"""Parts of a way of authentication: its probe, its API, its token response and its variants, as data."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ProbeScheme(StrEnum):
    """How a probe sends the credentials."""

    # With the access token (RFC 6750).
    BEARER = "bearer"
    # Signed with the access token (OAuth 1.0a).
    OAUTH1 = "oauth1"
    # Username and password.
    BASIC = "basic"
    # Headers of the probe only.
    HEADERS = "headers"
    # Signed with the keys of an AWS account (Signature Version 4).
    AWS_SIGV4 = "aws_sigv4"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Credentialed(Part):
    """How requests carry the credentials: username, password and the values of headers are text templates."""

    username: str = ""
    password: str = Field(default="", repr=False)
    headers: dict[str, str] = {}
    # Which AWS service the signature of aws_sigv4 is for, such as "s3".
    service: str = ""

    def text_templates(self) -> Iterator[tuple[str, str]]:
        """Yield each text template with its place, such as "headers.Accept"."""
        yield "username", self.username
        yield "password", self.password
        yield from ((f"headers.{name}", value) for name, value in self.headers.items())


class Probe(Credentialed):
    """A harmless request that succeeds if, and only if, the credentials are valid.

    url is a URL template.
    """

    url: str
    scheme: ProbeScheme
    method: Literal["GET", "POST"] = "GET"
    # What to do if the credentials are valid but lack the permission (403), as whole sentences. Empty: the account owner
    # is asked to grant the permissions.
    forbidden: str = ""
    # The path of a field that must be true: some providers answer 200 to credentials that are not valid.
    success_field: str = ""


class Api(Credentialed):
    """Where the provider's own API is, for hub calls and the proxy.

    base_url is a URL template; every call stays below it. Without a scheme, calls carry the credentials as the probe
    does.
    """

    base_url: str
    scheme: ProbeScheme | None = None


class AwsSignature(Part):
    """The configuration keys that sign requests to AWS. Only the access key ID and the session token are ever sent."""

    region_key: str
    access_key_id_key: str
    secret_access_key_key: str
    # Of temporary credentials.
    session_token_key: str | None = None

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(name for name in self.model_dump().values() if name)


class OAuth1Signature(Part):
    """How requests are signed with the scheme oauth1 (RFC 5849 3).

    realm: a text template. token_key, token_secret_key: the configuration keys of an access token that the account owner
    enters, for elements that do not ask for one.
    """

    method: Literal["HMAC-SHA1", "HMAC-SHA256"] = "HMAC-SHA1"
    realm: str = ""
    token_key: str | None = None
    token_secret_key: str | None = None


class Lookup(Credentialed):
    """A request that is sent once there is a token, for values that later requests need.

    values: paths in the response by name, such as { tenant = "0.tenantId" }. The configuration may have a value of its own.
    hosts: patterns (hosts.py) for each value that becomes part of a host.

    With lifetime_seconds it is a second sign-in: its values are valid for so long, and are asked for again with each new
    access token. secrets: names of those that are secret, such as the token of a session.
    """

    url: str
    method: Literal["GET", "POST"] = "GET"
    scheme: ProbeScheme = ProbeScheme.BEARER
    values: dict[str, str]
    hosts: dict[str, tuple[str, ...]] = {}
    secrets: tuple[str, ...] = ()
    lifetime_seconds: int | None = None


class Discovery(Part):
    """A list of what an account may use. One of it, chosen after a first consent, fills a configuration key.

    The first consent is for the list alone (scopes). list_at: the path of the list in the response; value_at and
    label_at: paths in each of its items.
    """

    key: str
    url: str
    scopes: tuple[str, ...] = ()
    list_at: str
    value_at: str
    label_at: str


class TokenAnswer(Part):
    """Where a token response holds its fields, as paths such as "authed_user.access_token".

    Without a path, a field stands at the top, or in an object that providers often wrap tokens in.
    """

    access_token: str | None = None
    refresh_token: str | None = None
    expires_in: str | None = None
    refresh_token_expires_in: str | None = None
    scope: str | None = None


class Variant(Part):
    """A named variant of a way of authentication.

    Its values replace those of the way.
    """

    name: str
    description: str = ""
    # These were the values of the way itself: when a file with this is first loaded, instances without a variant get it.
    was_default: bool = False
    # A boolean configuration key that chooses the variant if it is true.
    chosen_by: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    refresh_endpoint: str | None = None
    revocation_endpoint: str | None = None
    scopes: tuple[str, ...] | None = None
    scope_parameter: str | None = None
    issuer: str | None = None
    sends_iss: bool | None = None
    pkce: bool | None = None
    authorize_params: dict[str, str] | None = None
    token_params: dict[str, str] | None = None
    refresh_params: dict[str, str] | None = None
    lookup: Lookup | None = None
    discovery: Discovery | None = None
    removal: str | None = None
    probe: Probe | None = None
    api: Api | None = None

    @property
    def stated(self) -> dict[str, object]:
        """The values that replace those of the way.

        Another authorization endpoint may have another issuer, and another list to choose from.
        """
        about_itself = {"name", "description", "was_default", "chosen_by"}
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        stated = {k: v for k, v in fields.items() if k not in about_itself and v is not None}
        if "authorization_endpoint" in stated:
            return {"issuer": None, "sends_iss": False, "discovery": None} | stated
        return stated
