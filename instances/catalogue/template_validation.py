"""Validate templates, paths and patterns of hosts in element definitions."""

import re
from collections.abc import Iterable, Iterator

from instances.catalogue.hosts import parse_pattern
from instances.catalogue.templates import VARIABLE, variables_in

# A place in the file, such as `authentication[1].token_endpoint`, and a message.
type Problem = tuple[str, str]

# Of a field in a response.
PATH = re.compile(r"[\w-]+(\.[\w-]+)*")
# Fields of the token response that are not kept under their own names.
TOKEN_FIELDS = {"access_token", "refresh_token", "id_token", "expires_in", "scope", "token_type"}

_URL_START = re.compile(r"https?://[^/]|\{")


def problems_of_url(place: str, template: str, known: set[str]) -> Iterator[Problem]:
    if not _URL_START.match(template):
        yield place, "must begin with https://, http:// or a {key} that holds a URL."
    yield from problems_of_text(place, template, known)


def problems_of_text(place: str, template: str, known: set[str]) -> Iterator[Problem]:
    if {"{", "}"} & set(VARIABLE.sub("", template)):
        yield place, "has a brace that does not belong to a {key}."
    for name in variables_in(template):
        if name not in known:
            yield (
                place,
                f"{{{name}}} is not a key of this way of authentication, and is not known at that point.",
            )


def below(place: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    return ((f"{place}.{below}", why) for below, why in problems)


def problems_of_patterns(place: str, key: str, patterns: Iterable[str]) -> Iterator[Problem]:
    for pattern in patterns:
        try:
            parsed = parse_pattern(pattern)
        except ValueError as error:
            yield place, f"{key}: {error}"
            continue
        if parsed != pattern:
            yield place, f"{key}: {pattern}: must be written as {parsed}."
