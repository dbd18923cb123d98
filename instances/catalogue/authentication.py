"""Ways to authenticate with an element, as data. The content is checked in validation.py."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Literal, Self, get_args

from instances.catalogue.assertions import Assertion
from instances.catalogue.availability import Available
from instances.catalogue.configuration_keys import MASK, ConfigurationKey
from instances.catalogue.error_codes import ErrorCodes
from instances.catalogue.parts import (
    Api,
    AwsSignature,
    Discovery,
    Lookup,
    OAuth1Signature,
    Probe,
    TokenAnswer,
    Variant,
)
from instances.catalogue.refresh_tokens import RefreshTokenFacts
from instances.catalogue.templates import authority_of, variables_in
from instances.errors import InvalidConfigurationError

OAUTH_CLIENT_KEYS = frozenset(
    {"oauth.api.key", "oauth.api.secret", "oauth.callback.url", "oauth.scope"}
)
VARIANT_KEY = "authentication.variant"
ACCESS_TOKEN = "access_token"  # noqa: S105  the name of a variable
EndpointName = Literal[
    "request_token_endpoint",
    "authorization_endpoint",
    "token_endpoint",
    "refresh_endpoint",
    "revocation_endpoint",
]
ENDPOINTS: tuple[EndpointName, ...] = get_args(EndpointName)


class AuthenticationKind(StrEnum):
    """The values of `authentication.type` (contract 7.2)."""

    OAUTH2 = "oauth2"
    OAUTH1 = "oauth1"
    CUSTOM = "custom"
    BASIC = "basic"
    API_KEY = "apiKey"
    # OAuth 2.0 without a person: the application itself is given access. Next to oauth2, for elements that have both.
    OAUTH2_APPLICATION = "oauth2Application"
    # The same with a client secret, for elements where applications also prove themselves with a key.
    OAUTH2_APP_SECRET = "oauth2AppSecret"  # noqa: S105  a way's name


class GrantType(StrEnum):
    """The grants by which access tokens are requested (RFC 6749 1.3)."""

    AUTHORIZATION_CODE = "authorization_code"
    CLIENT_CREDENTIALS = "client_credentials"
    PASSWORD = "password"  # noqa: S105  a grant's name
    # An assertion that the account signs (RFC 7523 2.1).
    JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    # A SAML assertion that was signed elsewhere, as a parameter (RFC 7522 2.1).
    SAML2_BEARER = "urn:ietf:params:oauth:grant-type:saml2-bearer"


class ClientAuthenticationMethod(StrEnum):
    """How a client authenticates at the token endpoint (RFC 8414 2, RFC 7591 2)."""

    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105  a method's name
    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105
    # With an assertion that the client signs (RFC 7523 2.2).
    PRIVATE_KEY_JWT = "private_key_jwt"
    NONE = "none"


class AuthenticationType(Available, RefreshTokenFacts):
    """One way of authentication.

    Endpoints, scopes and parameters are templates (templates.py).
    """

    type: AuthenticationKind
    # What to know before anything is entered, for example what a password cannot do; whole sentences.
    note: str = ""
    # Where access is removed at the provider, if it cannot be revoked from here; whole sentences.
    removal: str = ""
    fields: tuple[ConfigurationKey, ...] = ()
    # Parameters of the callback that are needed later.
    provider_data: tuple[str, ...] = ()
    # Patterns (hosts.py) for each of provider_data that can become part of a host.
    provider_data_hosts: dict[str, tuple[str, ...]] = {}
    # Values of the token response that are part of a host, such as instance_url, each with patterns (hosts.py) of the
    # domains that they may lie under.
    token_data: dict[str, tuple[str, ...]] = {}
    # The key that `siteAddress` fills.
    site_address_key: str | None = None
    grant_type: GrantType | None = None
    # The configuration keys of a token request's client, and of a password grant's account (RFC 6749 4.3).
    client_id_key: str = "oauth.api.key"
    client_secret_key: str = "oauth.api.secret"  # noqa: S105  a key's name
    username_key: str | None = None
    password_key: str | None = None
    # "unknown" if a required endpoint is unknown: the way is listed, but cannot be used.
    endpoints: Literal["unknown"] | None = None
    request_token_endpoint: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    refresh_endpoint: str | None = None
    revocation_endpoint: str | None = None
    token_endpoint_auth_method: ClientAuthenticationMethod = (
        ClientAuthenticationMethod.CLIENT_SECRET_POST
    )
    # Whether token requests are JSON. RFC 6749 says forms, which some providers do not read.
    sends_json: bool = False
    # The assertion that proves the client.
    assertion: Assertion | None = None
    # The keys that sign requests with the scheme aws_sigv4.
    aws_signature: AwsSignature | None = None
    oauth1_signature: OAuth1Signature = OAuth1Signature()
    # The authorization server's issuer identifier, which an iss parameter of the callback must equal (RFC 9207).
    issuer: str | None = None
    # Whether every response has an iss parameter (RFC 9207 3).
    sends_iss: bool = False
    scopes: tuple[str, ...] = ()
    scope_separator: str = " "
    # The parameter of the authorization request that carries the scope.
    scope_parameter: str = "scope"
    # Whether a code challenge may be sent; None: unknown.
    pkce: bool | None = None
    # Whether refresh tokens are issued; None: unknown.
    refresh: bool | None = None
    authorize_params: dict[str, str] = {}
    token_params: dict[str, str] = {}
    # Of the request that refreshes tokens.
    refresh_params: dict[str, str] = {}
    token_answer: TokenAnswer = TokenAnswer()
    # Where the token response or the probe's names the account at the provider, as paths, beside the usual names.
    account_fields: tuple[str, ...] = ()
    # What the provider's own error codes mean.
    error_codes: ErrorCodes = ErrorCodes()
    lookup: Lookup | None = None
    # What to choose after the consent, in place of entering it.
    discovery: Discovery | None = None
    probe: Probe | None = None
    api: Api | None = None
    variants: tuple[Variant, ...] = ()

    @property
    def needs_browser(self) -> bool:
        """Whether the account owner must authorize access at the provider."""
        is_oauth2_code = self.grant_type == GrantType.AUTHORIZATION_CODE
        return self.type == AuthenticationKind.OAUTH1 or is_oauth2_code

    @property
    def obtains_token(self) -> bool:
        """Whether an access token is requested first."""
        return self.type == AuthenticationKind.OAUTH1 or self.grant_type is not None

    @property
    def signs_in_alone(self) -> bool:
        """Whether the configuration is enough to get a new token at any time."""
        return self.grant_type not in {None, GrantType.AUTHORIZATION_CODE}

    @property
    def names_client(self) -> bool:
        """Whether token requests name a client, which a signed grant need not (RFC 7523 3.1)."""
        has_none = self.token_endpoint_auth_method == ClientAuthenticationMethod.NONE
        return self.obtains_token and not (has_none and self.grant_type == GrantType.JWT_BEARER)

    @property
    def takes_oauth_app(self) -> bool:
        """Whether an OAuth app can supply the client.

        A private key belongs to a client of the account's own. So does an application that is given access without a
        person: nobody consents, so whoever may use the client could connect every account that lets it in.
        """
        is_application = self.type in {
            AuthenticationKind.OAUTH2_APPLICATION,
            AuthenticationKind.OAUTH2_APP_SECRET,
        }
        return self.obtains_token and self.assertion is None and not is_application

    @property
    def signs_oauth1(self) -> bool:
        """Whether requests are signed as OAuth 1.0a says, with a token that was issued or entered."""
        return self.type == AuthenticationKind.OAUTH1 or bool(self.oauth1_signature.token_key)

    @property
    def takes_certificate(self) -> bool:
        """Whether the client's private key has a certificate, which is registered at the provider."""
        return self.assertion is not None and self.assertion.sends_thumbprint

    @property
    def preparation(self) -> str:
        """What connecting takes, by the labels of the required keys; empty if nothing."""
        # With a browser, the OAuth app usually supplies the client.
        supplied = OAUTH_CLIENT_KEYS if self.needs_browser else ()
        labels = [
            field.label
            for field in self.fields
            if field.required and field.default is None and field.key not in supplied
        ]
        entered = f"enter {', '.join(labels)}" if labels else ""
        consent = "authorize access in a browser" if self.needs_browser else ""
        return " and ".join(filter(None, [entered, consent]))

    def url_templates(self) -> Iterator[tuple[str, str]]:
        """Yield each URL template with its place, such as "probe.url"."""
        return _url_templates(self)

    @property
    def _parts(self) -> "tuple[AuthenticationType | Variant, ...]":
        return (self, *self.variants)

    @property
    def host_keys(self) -> frozenset[str]:
        """Variables that can become part of a host, in this way and in its variants."""
        templates = [t for part in self._parts for _, t in _url_templates(part)]
        return frozenset(name for t in templates for name in variables_in(authority_of(t)))

    @property
    def sent_keys(self) -> frozenset[str]:
        """Configuration keys whose values requests may contain, variants included."""
        named = {self.client_id_key, self.client_secret_key, self.username_key, self.password_key}
        named |= self.assertion.keys if self.assertion else set()
        named |= self.aws_signature.keys if self.aws_signature else set()
        named |= {self.oauth1_signature.token_key, self.oauth1_signature.token_secret_key}
        named |= {*variables_in(self.oauth1_signature.realm)}
        templates = [
            template
            for part in self._parts
            for template in (*_text_templates(part), *(url for _, url in _url_templates(part)))
        ]
        sent = named | {name for template in templates for name in variables_in(template)}
        aliases = {alias for field in self.fields if field.key in sent for alias in field.aliases}
        return frozenset(name for name in sent | aliases if name)

    @property
    def client_keys(self) -> frozenset[str]:
        """Keys of the OAuth client, which account owners do not know."""
        stated = {self.client_id_key, self.client_secret_key} if self.obtains_token else set()
        if self.assertion and self.grant_type != GrantType.JWT_BEARER:
            stated.add(self.assertion.private_key_key)
        return frozenset(OAUTH_CLIENT_KEYS | stated)

    @property
    def requires_client(self) -> bool:
        """Whether account owners cannot connect without an OAuth app."""
        return not self.client_keys.isdisjoint(self.missing_keys({}))

    @property
    def api_credentials(self) -> "Probe | Api | None":
        """How calls of the provider's API carry the credentials; None if that is not known."""
        return self.api if self.api and self.api.scheme else self.probe

    @property
    def credential_keys(self) -> frozenset[str]:
        """Keys of the account's secrets and of the names that belong to them."""
        texts = [
            text
            for carrying in filter(None, (self.probe, self.api))
            for _, text in carrying.text_templates()
        ]
        named = {name for text in texts for name in variables_in(text)}
        secret = {field.key for field in self.fields if field.secret}
        credentials = {*named, *secret, self.username_key or "", self.password_key or ""}
        keys = {field.key for field in self.fields}
        return frozenset((credentials & keys) - self.client_keys - self.host_keys)

    def host_patterns(self, name: str) -> tuple[str, ...]:
        """Return patterns of the provider's hosts that a variable may be part of.

        Empty if none are stated.
        """
        field = next((field for field in self.fields if field.key == name), None)
        if field:
            return field.hosts or ()
        of_lookup = self.lookup.hosts if self.lookup else {}
        stated = (self.provider_data_hosts, self.token_data, of_lookup)
        return next((hosts[name] for hosts in stated if hosts.get(name)), ())

    def lacks_session(self, kept: Mapping[str, str]) -> bool:
        """Whether calls need a second sign-in first. kept: the values that are kept with the tokens."""
        lookup = self.lookup
        is_sign_in = lookup is not None and lookup.lifetime_seconds is not None
        return is_sign_in and not (lookup and lookup.values.keys() <= kept.keys())

    def for_discovery(self) -> Self:
        """Return this way as it asks for the list to choose from: nothing else, and without the key that is chosen."""
        if self.discovery is None:
            return self
        key = self.discovery.key
        fields = tuple(
            field.model_copy(update={"required": False}) if field.key == key else field
            for field in self.fields
        )
        nothing = {"probe": None, "api": None, "lookup": None}
        return self.model_copy(
            update={"fields": fields, "scopes": self.discovery.scopes, **nothing}
        )

    def with_variant(self, name: str | None) -> Self:
        """Return this way with the named variant's values; itself without a name.

        Raises InvalidConfigurationError, which names the variants.
        """
        if not name:
            return self
        for variant in self.variants:
            if variant.name == name:
                return self.model_copy(update=variant.stated)
        known = ", ".join(variant.name for variant in self.variants)
        why = (
            f"must be one of: {known}." if known else "this way of authentication has no variants."
        )
        raise InvalidConfigurationError(VARIANT_KEY, why)

    def variant_of(self, configuration: Mapping[str, object]) -> str | None:
        """Return the variant that a configuration chooses, by name or by chosen_by."""
        if named := configuration.get(VARIANT_KEY):
            return str(named)
        values = self.values_of(configuration)
        for variant in self.variants:
            if variant.chosen_by and values.get(variant.chosen_by, "").lower() == "true":
                return variant.name
        return None

    def password_keys(self, keys: Iterable[str]) -> set[str]:
        """Return the keys of the passwords that open key files, for those among these keys."""
        of_files = {n: p for field in self.fields for n, p in field.password_names.items()}
        return {of_files[key] for key in keys if key in of_files}

    def missing_keys(self, configuration: Mapping[str, object]) -> list[str]:
        """Return the required keys without a value, in order of display (contract 7.5).

        An empty string, null and the mask do not count as values; a default and an alias's value do.
        """
        required = [field for field in self.fields if field.required and field.default is None]
        return [field.key for field in required if _given(field, configuration) is None]

    def values_of(self, configuration: Mapping[str, object]) -> dict[str, str]:
        """Return the configuration as strings, with aliases and defaults applied."""
        values = {key: text for key, value in configuration.items() if (text := _as_text(value))}
        for field in self.fields:
            if (value := _given(field, configuration) or field.default) is not None:
                values[field.key] = field.bare(value)
        return values


def _url_templates(part: AuthenticationType | Variant) -> Iterator[tuple[str, str]]:
    for name in ENDPOINTS:
        if template := getattr(part, name, None):
            yield name, template
    if part.lookup:
        yield "lookup.url", part.lookup.url
    if part.probe:
        yield "probe.url", part.probe.url
    if part.api:
        yield "api.base_url", part.api.base_url


def _text_templates(part: AuthenticationType | Variant) -> Iterator[str]:
    for parameters in (part.authorize_params, part.token_params, part.refresh_params):
        yield from (parameters or {}).values()
    yield from part.scopes or ()
    for carrying in filter(None, (part.lookup, part.probe, part.api)):
        yield from (template for _, template in carrying.text_templates())


def _given(field: ConfigurationKey, configuration: Mapping[str, object]) -> str | None:
    texts = (_as_text(configuration.get(name)) for name in field.names)
    return next((text for text in texts if text), None)


def _as_text(value: object) -> str:
    if value is None or value == MASK:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
