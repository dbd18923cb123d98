"""Ask the provider for values that later requests need, such as the account's own API host."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta

import structlog
from django.utils import timezone

from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.parts import Lookup
from instances.errors import AccessForbiddenError, InstancesError
from instances.platforms.base import PlatformRequest, TokenSet
from instances.platforms.embedded.accounts import value_at
from instances.platforms.embedded.calling import authorization
from instances.platforms.embedded.probe import raise_for_refusal
from instances.platforms.embedded.templates import address_of, headers_of
from instances.platforms.transport import (
    Answer,
    error_of,
    exchange,
    json_of,
    subject_of,
    unusable,
)
from instances.redaction import storable

# Tokens of sessions may be JSON Web Tokens.
_MAX_CHARACTERS = 500
_MAX_SECRET_CHARACTERS = 8_000

log = structlog.stdlib.get_logger(__name__)

_NOTHING_FOUND = (
    "%(provider)s accepted the credentials, but named nothing that they give access to (%(names)s). Ask the account "
    "owner to choose what to connect, and authorize again."
)


def looked_up(request: PlatformRequest, tokens: TokenSet) -> TokenSet:
    """Return the tokens with the values of the element's lookup that neither they nor the configuration have.

    Raises AccessForbiddenError if the response lacks one, and what a probe raises.
    """
    lookup = request.authentication.lookup
    if lookup is None or not (missing := _missing_values(lookup, request, tokens)):
        return tokens
    request = replace(request, tokens=tokens)
    subject = subject_of(request, "Look up account")
    headers = headers_of(request, lookup.headers) | authorization(request, lookup)
    answer = exchange(subject, lookup.method, address_of(request, lookup.url), headers=headers)
    raise_for_refusal(answer, subject, request)
    found = _values_in(answer, missing, lookup.secrets)
    not_found = sorted(missing.keys() - found.keys())
    if not_found and lookup.lifetime_seconds:
        raise unusable(answer, subject)
    if not_found:
        facts = {"names": ", ".join(not_found)}
        raise error_of(AccessForbiddenError, _NOTHING_FOUND, answer, subject, facts=facts)
    extra = {**tokens.extra, **found}
    if lookup.lifetime_seconds is None:
        return replace(tokens, extra=extra)
    # What calls carry is the session.
    ends_at = timezone.now() + timedelta(seconds=lookup.lifetime_seconds)
    return replace(tokens, extra=extra, expires_at=ends_at)


def without_session(way: AuthenticationType, tokens: TokenSet) -> TokenSet:
    """Return tokens without what a second sign-in brought for the former access token."""
    is_sign_in = way.lookup is not None and way.lookup.lifetime_seconds is not None
    return without_found(way, tokens) if is_sign_in else tokens


def without_found(way: AuthenticationType, tokens: TokenSet) -> TokenSet:
    """Return tokens without what the element's lookup found for them: other tokens may be of another account."""
    names = way.lookup.values if way.lookup else {}
    kept = {name: value for name, value in tokens.extra.items() if name not in names}
    return replace(tokens, extra=kept)


def opened_session(request: PlatformRequest) -> TokenSet | None:
    """Implement Platform.open_session()."""
    if request.tokens is None:
        return None
    try:
        return looked_up(request, request.tokens)
    except InstancesError as error:
        log.warning("second sign-in failed", uid=str(request.uid), why=str(error))
        return None


def _missing_values(
    lookup: Lookup, request: PlatformRequest, tokens: TokenSet
) -> Mapping[str, str]:
    known = {*request.authentication.values_of(request.configuration), *tokens.extra}
    return {name: path for name, path in lookup.values.items() if name not in known}


def _values_in(
    answer: Answer, paths: Mapping[str, str], secrets: Collection[str]
) -> dict[str, str]:
    document = json_of(answer)
    most = dict.fromkeys(secrets, _MAX_SECRET_CHARACTERS)
    values = {name: value_at(document, path) for name, path in paths.items()}
    return {
        name: storable(str(value))
        for name, value in values.items()
        if isinstance(value, str | int)
        and not isinstance(value, bool)
        and 0 < len(str(value)) <= most.get(name, _MAX_CHARACTERS)
    }
