"""Ask the provider for values that later requests need, such as the account's own API host."""

from collections.abc import Mapping
from dataclasses import replace

from instances.catalogue.parts import Lookup
from instances.errors import AccessForbiddenError
from instances.platforms.base import PlatformRequest, TokenSet
from instances.platforms.embedded.accounts import value_at
from instances.platforms.embedded.calling import authorization
from instances.platforms.embedded.probe import raise_for_refusal
from instances.platforms.embedded.templates import address_of, headers_of
from instances.platforms.transport import Answer, error_of, exchange, json_of, subject_of
from instances.redaction import storable

_MAX_CHARACTERS = 500
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
    answer = exchange(subject, "GET", address_of(request, lookup.url), headers=headers)
    raise_for_refusal(answer, subject, request)
    found = _values_in(answer, missing)
    if not_found := sorted(missing.keys() - found.keys()):
        facts = {"names": ", ".join(not_found)}
        raise error_of(AccessForbiddenError, _NOTHING_FOUND, answer, subject, facts=facts)
    return replace(tokens, extra={**tokens.extra, **found})


def _missing_values(
    lookup: Lookup, request: PlatformRequest, tokens: TokenSet
) -> Mapping[str, str]:
    known = {*request.authentication.values_of(request.configuration), *tokens.extra}
    return {name: path for name, path in lookup.values.items() if name not in known}


def _values_in(answer: Answer, paths: Mapping[str, str]) -> dict[str, str]:
    document = json_of(answer)
    values = {name: value_at(document, path) for name, path in paths.items()}
    return {
        name: storable(str(value))
        for name, value in values.items()
        if isinstance(value, str | int)
        and not isinstance(value, bool)
        and 0 < len(str(value)) <= _MAX_CHARACTERS
    }
