"""Validate element definitions beyond their shape (definition.py, authentication.py)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from instances.catalogue.assertions import Assertion
from instances.catalogue.authentication import (
    ACCESS_TOKEN,
    AuthenticationKind,
    AuthenticationType,
    ClientAuthenticationMethod,
    GrantType,
)
from instances.catalogue.availability import SENTENCES, Available, problems_of_availability
from instances.catalogue.configuration_keys import KeyType
from instances.catalogue.credentials_validation import (
    problems_of_api,
    problems_of_aws_signature,
    problems_of_oauth1_signature,
    problems_of_probe,
)
from instances.catalogue.definition import ElementDefinition
from instances.catalogue.field_validation import problems_of_field
from instances.catalogue.hub_api_validation import problems_of_hub_api
from instances.catalogue.lookup_validation import (
    looked_up_names,
    problems_of_discovery,
    problems_of_lookup,
)
from instances.catalogue.parts import Variant
from instances.catalogue.refresh_tokens import problems_of_lifetimes
from instances.catalogue.template_validation import (
    PATH,
    TOKEN_FIELDS,
    Problem,
    below,
    problems_of_patterns,
    problems_of_text,
    problems_of_url,
)
from instances.catalogue.templates import variables_in

_ELEMENT_KEY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# Limits of the wire and of databases: a signed 32-bit number, and short names.
_MAX_ID = 2**31 - 1
_MAX_CHARACTERS = {"key": 100, "name": 200, "hub": 50}
# An assertion is for one request, and no provider accepts one that is valid for more than an hour.
_MAX_ASSERTION_SECONDS = 3600
# Of every assertion, or stated by keys of their own (RFC 7523 3).
_RESERVED_CLAIMS = {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scope"}
_ENDPOINTS = (
    "request_token_endpoint",
    "authorization_endpoint",
    "token_endpoint",
    "refresh_endpoint",
    "revocation_endpoint",
)


def problems_of(definition: ElementDefinition) -> Iterator[Problem]:
    """Yield every problem of a definition."""
    if not _ELEMENT_KEY.fullmatch(definition.key):
        yield "key", "must be lower-case letters and digits, with single hyphens between them."
    if not 1 <= definition.id <= _MAX_ID:
        yield "id", f"must be a whole number from 1 to {_MAX_ID}."
    for name, most in _MAX_CHARACTERS.items():
        if len(getattr(definition, name)) > most:
            yield name, f"must have at most {most} characters."
    for name in ("name", "hub", "description"):
        if not getattr(definition, name).strip():
            yield name, "must not be empty."
    if definition.alias_of == definition.key:
        yield "alias_of", "must name another element."
    if definition.alias_of and definition.authentication:
        yield (
            "authentication",
            f"must be omitted: that of {definition.alias_of} is used (alias_of).",
        )
    if not (definition.alias_of or definition.authentication):
        yield "authentication", "is missing. State at least one way of authentication, or alias_of."
    yield from problems_of_availability(definition)
    ways = definition.authentication
    if ways and not definition.is_retired and not definition.connectable_ways:
        yield "status", "must be retired, as every way of authentication is."
    kinds = [str(way.type) for way in ways]
    yield from _repeated("authentication", kinds, "ways of authentication of type")
    for index, way in enumerate(definition.authentication):
        yield from below(f"authentication[{index}]", _problems_of_way(way))
    if definition.hub_api:
        yield from below("hub_api", problems_of_hub_api(definition.hub_api))
    if definition.alias_of:
        for name in ("hub_api", *Available.model_fields):
            if getattr(definition, name) != ElementDefinition.model_fields[name].default:
                yield name, f"must be omitted: that of {definition.alias_of} is used (alias_of)."


def _problems_of_way(way: AuthenticationType) -> Iterator[Problem]:
    yield from problems_of_availability(way)
    for index, field in enumerate(way.fields):
        yield from below(f"fields[{index}]", problems_of_field(field))
    for name in ("note", "removal"):
        if (text := getattr(way, name)) and not SENTENCES.fullmatch(text):
            yield name, "must be whole sentences, with a full stop at the end."
    keys = [name for field in way.fields for name in field.names]
    yield from _repeated("fields", keys, "fields with the key or alias")
    yield from _repeated("variants", [v.name for v in way.variants], "variants with the name")
    yield from _problems_of_grant(way)
    yield from _problems_of_named_keys(way, keys)
    yield from _problems_of_hosts(way)
    known = {*keys, *way.provider_data, *way.token_data, *looked_up_names(way)}
    known |= {ACCESS_TOKEN} if way.obtains_token else set()
    # A private key signs, and is never part of a request.
    known -= {name for f in way.fields if f.type == KeyType.PRIVATE_KEY for name in f.names}
    yield from _problems_of_templates(way, known)
    yield from _problems_of_issuer(way, way)
    yield from _problems_of_answers(way)
    yield from problems_of_lifetimes(way, obtains_token=way.obtains_token)
    yield from _problems_of_private_keys(way)
    if way.assertion:
        yield from below("assertion", _problems_of_assertion(way.assertion, way, known))
    if way.lookup:
        yield from below("lookup", problems_of_lookup(way.lookup, way, known))
    oauth1 = problems_of_oauth1_signature(way, known)
    yield from below("oauth1_signature", oauth1)
    if way.discovery:
        yield from below("discovery", problems_of_discovery(way.discovery, way, known))
    if way.aws_signature:
        yield from below("aws_signature", problems_of_aws_signature(way.aws_signature, way))
    if way.probe:
        yield from below("probe", problems_of_probe(way.probe, way, known))
    if way.api:
        yield from below("api", problems_of_api(way.api, way, known))
    for index, variant in enumerate(way.variants):
        yield from below(f"variants[{index}]", _problems_of_variant(variant, way, keys, known))


def _problems_of_hosts(way: AuthenticationType) -> Iterator[Problem]:
    """Check that keys which become part of a host state the provider's hosts."""
    for index, field in enumerate(way.fields):
        yield from problems_of_patterns(f"fields[{index}].hosts", field.key, field.hosts or ())
        if field.hosts is None and field.key in way.host_keys:
            yield (
                f"fields[{index}].hosts",
                f"{field.key}: is missing, although its value becomes part of a host. State the provider's hosts, such "
                'as ["*.example.com"], or [] if none are known.',
            )
    for name, patterns in way.provider_data_hosts.items():
        yield from problems_of_patterns("provider_data_hosts", name, patterns)
    yield from _problems_of_token_data(way)
    keys = {field.key for field in way.fields}
    for name in way.provider_data:
        if name in way.host_keys - keys - way.provider_data_hosts.keys():
            yield (
                "provider_data_hosts",
                f"{name}: is missing, although its value becomes part of a host. State the provider's hosts.",
            )


def _problems_of_token_data(way: AuthenticationType) -> Iterator[Problem]:
    """Check the values that are kept of the token response: each states the domains that it may lie under."""
    taken = {name for field in way.fields for name in field.names} | {*way.provider_data}
    for name, patterns in way.token_data.items():
        if not patterns:
            yield "token_data", f"{name}: must state the domains that it may lie under."
        if name in taken or name in TOKEN_FIELDS:
            yield "token_data", f"{name}: is the name of something else. Omit it."
        yield from problems_of_patterns("token_data", name, patterns)
    if way.token_data and not way.obtains_token:
        yield "token_data", "needs a token response. State a grant_type, or omit it."


def _problems_of_grant(way: AuthenticationType) -> Iterator[Problem]:
    if way.type == AuthenticationKind.OAUTH2 and way.grant_type is None:
        yield "grant_type", "is missing. Use authorization_code or client_credentials."
    if way.token_endpoint and not way.obtains_token:
        yield "grant_type", "is missing. State how a token is requested at the token_endpoint."
    if way.grant_type == GrantType.AUTHORIZATION_CODE and way.type != AuthenticationKind.OAUTH2:
        yield "grant_type", "authorization_code needs type oauth2."
    if way.endpoints == "unknown":
        return
    for name in _needed_endpoints(way):
        if getattr(way, name) is None:
            yield name, 'is missing. If it is not known, state endpoints = "unknown".'


def _problems_of_named_keys(way: AuthenticationType, keys: Iterable[str]) -> Iterator[Problem]:
    needed = ["client_id_key"] if way.names_client else []
    without_secret = {ClientAuthenticationMethod.NONE, ClientAuthenticationMethod.PRIVATE_KEY_JWT}
    if way.obtains_token and way.token_endpoint_auth_method not in without_secret:
        needed.append("client_secret_key")
    if way.grant_type == GrantType.PASSWORD:
        needed += ["username_key", "password_key"]
    for name in [*needed, "site_address_key"]:
        key = getattr(way, name)
        if key is None and name in needed:
            yield name, "is missing. A password grant needs it."
        elif key is not None and key not in keys:
            yield name, f"{key} is not one of the fields."


def _needed_endpoints(way: AuthenticationType) -> tuple[str, ...]:
    if way.type == AuthenticationKind.OAUTH1:
        return ("request_token_endpoint", "authorization_endpoint", "token_endpoint")
    if way.grant_type == GrantType.AUTHORIZATION_CODE:
        return ("authorization_endpoint", "token_endpoint")
    return ("token_endpoint",) if way.grant_type else ()


def _problems_of_templates(way: AuthenticationType | Variant, known: set[str]) -> Iterator[Problem]:
    for name in _ENDPOINTS:
        if (template := getattr(way, name, None)) is not None:
            yield from problems_of_url(name, template, known)
    for index, scope in enumerate(way.scopes or ()):
        yield from problems_of_text(f"scopes[{index}]", scope, known)
    for parameters in ("authorize_params", "token_params", "refresh_params"):
        for name, value in (getattr(way, parameters) or {}).items():
            yield from problems_of_text(f"{parameters}.{name}", value, known)


def _problems_of_issuer(
    stating: AuthenticationType | Variant, way: AuthenticationType
) -> Iterator[Problem]:
    """Check the issuer identifier: no query and no fragment (RFC 8414 2)."""
    issuer = stating.issuer
    if stating.sends_iss and not issuer:
        yield "sends_iss", "needs an issuer to compare the iss parameter with."
    if not issuer:
        return
    if way.grant_type != GrantType.AUTHORIZATION_CODE:
        yield "issuer", "only applies to an authorization_code grant. Omit it."
    if {"?", "#"} & set(issuer):
        yield "issuer", "must have no query and no fragment."
    filled = {f.key for f in way.fields if f.required or f.default is not None}
    filled |= {*variables_in(stating.authorization_endpoint or way.authorization_endpoint or "")}
    yield from problems_of_url("issuer", issuer, filled)


def _problems_of_private_keys(way: AuthenticationType) -> Iterator[Problem]:
    """Check that there is an assertion exactly if something is proved by one, and that it uses each private key."""
    is_client = way.token_endpoint_auth_method == ClientAuthenticationMethod.PRIVATE_KEY_JWT
    is_grant = way.grant_type == GrantType.JWT_BEARER
    if (is_client or is_grant) and way.assertion is None:
        yield "assertion", "is missing. State how it is made."
    if way.assertion and not (is_client or is_grant):
        yield "assertion", 'is not used. State token_endpoint_auth_method = "private_key_jwt".'
    if is_client and is_grant:
        yield (
            "token_endpoint_auth_method",
            "must not be private_key_jwt. The grant is signed already.",
        )
    used = way.assertion.private_key_key if way.assertion else None
    for index, field in enumerate(way.fields):
        if field.type == KeyType.PRIVATE_KEY and field.key != used:
            yield f"fields[{index}].type", f"{field.key}: no assertion is signed with it."


def _problems_of_assertion(
    assertion: Assertion, way: AuthenticationType, known: set[str]
) -> Iterator[Problem]:
    signing = {field.key for field in way.fields if field.type == KeyType.PRIVATE_KEY}
    if assertion.private_key_key not in signing:
        yield (
            "private_key_key",
            f"{assertion.private_key_key} is not one of the fields of type private_key.",
        )
    if not 1 <= assertion.lifetime_seconds <= _MAX_ASSERTION_SECONDS:
        yield "lifetime_seconds", f"must be a number from 1 to {_MAX_ASSERTION_SECONDS}."
    known = known - {ACCESS_TOKEN} | {*(assertion.key_file.values if assertion.key_file else ())}
    for place, template in assertion.text_templates():
        yield from problems_of_text(place, template, known)
    is_grant = way.grant_type == GrantType.JWT_BEARER
    if is_grant and not assertion.issuer:
        yield "issuer", "is missing. State who signs the grant."
    if reserved := sorted(_RESERVED_CLAIMS & assertion.claims.keys()):
        yield "claims", f"must not set {', '.join(reserved)}, which every assertion has."
    for place in ("issuer", "subject", "claims"):
        if not is_grant and getattr(assertion, place):
            yield place, "only applies to a signed grant. A client is its own issuer and subject."


def _problems_of_answers(way: AuthenticationType) -> Iterator[Problem]:
    """Check what is said about the responses of the token endpoint."""
    for name, path in way.token_answer.model_dump(exclude_none=True).items():
        if not PATH.fullmatch(path):
            yield (
                f"token_answer.{name}",
                'must be names with dots between them, such as "data.token".',
            )
    for index, path in enumerate(way.account_fields):
        if not PATH.fullmatch(path):
            yield f"account_fields[{index}]", 'must be names with dots between them: "owner.id".'
    stated = list(way.error_codes.stated())
    for meaning, codes in stated:
        if any(not code.strip() or code.strip() != code for code in codes):
            yield f"error_codes.{meaning}", "has a code that is empty, or has blanks around it."
    for code, text in way.error_codes.explained.items():
        if not SENTENCES.fullmatch(text):
            yield f"error_codes.explained.{code}", "must be whole sentences, with a full stop."
    everything = [code.lower() for _, codes in stated for code in codes]
    yield from _repeated("error_codes", everything, "meanings of the code")
    if not way.obtains_token and (everything or way.token_answer.model_dump(exclude_none=True)):
        yield (
            "grant_type",
            "is missing. State how a token is requested, or omit error_codes and token_answer.",
        )


def _problems_of_variant(
    variant: Variant, way: AuthenticationType, keys: Iterable[str], known: set[str]
) -> Iterator[Problem]:
    if variant.chosen_by and variant.chosen_by not in keys:
        yield "chosen_by", f"{variant.chosen_by} is not one of the fields."
    yield from _problems_of_templates(variant, known)
    yield from _problems_of_issuer(variant, way)
    if variant.discovery:
        yield from below("discovery", problems_of_discovery(variant.discovery, way, known))
    if variant.lookup:
        yield from below("lookup", problems_of_lookup(variant.lookup, way, known))
    if variant.probe:
        yield from below("probe", problems_of_probe(variant.probe, way, known))
    if variant.api:
        yield from below("api", problems_of_api(variant.api, way, known))


def _repeated(place: str, names: Iterable[str], what: str) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield place, f"{count} {what} {name}. Keep one."
