"""Validate what is looked up once there is a token (parts.Lookup)."""

from collections.abc import Iterator

from instances.catalogue.authentication import AuthenticationType, GrantType
from instances.catalogue.credentials_validation import problems_of_credentials
from instances.catalogue.parts import Discovery, Lookup
from instances.catalogue.template_validation import (
    PATH,
    TOKEN_FIELDS,
    Problem,
    problems_of_patterns,
    problems_of_text,
    problems_of_url,
)
from instances.redaction import is_secret_name

# Tokens are refreshed after half of their life, which a shorter session would not outlast.
_SHORTEST_SECONDS = 120
_LONGEST_SECONDS = 30 * 86_400


def problems_of_lookup(
    lookup: Lookup, way: AuthenticationType, known: set[str]
) -> Iterator[Problem]:
    """Yield the problems of a lookup, which knows the values of no lookup yet."""
    fields = {field.key for field in way.fields}
    known_before = (known - looked_up_names(way)) | fields
    yield from problems_of_url("url", lookup.url, known_before)
    yield from problems_of_credentials(lookup, way, known_before)
    if not way.obtains_token:
        yield "url", "needs an access token. State a grant_type, or omit the lookup."
    if not lookup.values:
        yield "values", "is empty. Name what the response is asked for."
    for name, path in lookup.values.items():
        if not PATH.fullmatch(path):
            yield f"values.{name}", 'must be names with dots between them: "0.tenantId".'
        if name in {*TOKEN_FIELDS, *way.provider_data, *way.token_data}:
            yield f"values.{name}", "is the name of something else. Choose another one."
        if name in way.host_keys - fields and not lookup.hosts.get(name):
            yield f"hosts.{name}", "is missing, although its value becomes part of a host."
        if name in lookup.secrets and not is_secret_name(path.rpartition(".")[2]):
            yield (
                f"values.{name}",
                f"{path}: does not look like a secret, so recorded responses would show it.",
            )
    yield from _problems_of_session(lookup)
    for name, patterns in lookup.hosts.items():
        yield from problems_of_patterns(f"hosts.{name}", name, patterns)


def _problems_of_session(lookup: Lookup) -> Iterator[Problem]:
    seconds = lookup.lifetime_seconds
    if seconds is not None and not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        yield (
            "lifetime_seconds",
            f"must be a number from {_SHORTEST_SECONDS} to {_LONGEST_SECONDS}.",
        )
    if lookup.secrets and seconds is None:
        yield "lifetime_seconds", "is missing. State how long the secrets are valid."
    for name in lookup.secrets:
        if name not in lookup.values:
            yield "secrets", f"{name} is not one of the values."


def problems_of_discovery(
    discovery: Discovery, way: AuthenticationType, known: set[str]
) -> Iterator[Problem]:
    """Yield the problems of a list to choose from, which is asked for before its key has a value."""
    yield from problems_of_url("url", discovery.url, known - {discovery.key})
    for index, scope in enumerate(discovery.scopes):
        yield from problems_of_text(f"scopes[{index}]", scope, known - {discovery.key})
    if way.grant_type != GrantType.AUTHORIZATION_CODE:
        yield "url", "needs the grant_type authorization_code. Omit the discovery."
    if discovery.key not in {field.key for field in way.fields}:
        yield "key", f"{discovery.key} is not one of the fields."
    for name in ("list_at", "value_at", "label_at"):
        if not PATH.fullmatch(getattr(discovery, name)):
            yield name, 'must be names with dots between them, such as "data.items".'


def looked_up_names(way: AuthenticationType) -> set[str]:
    """Return the names of the values that lookups bring, in any variant."""
    lookups = (way.lookup, *(variant.lookup for variant in way.variants))
    return {name for lookup in lookups if lookup for name in lookup.values}
