"""Load element files: TOML in, validated definitions out."""

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from instances.catalogue.availability import Available
from instances.catalogue.definition import ElementDefinition
from instances.catalogue.validation import problems_of
from instances.errors import CatalogueError

SHIPPED_FOLDER = Path(__file__).with_name("elements")


def shipped_elements() -> list[ElementDefinition]:
    """Return every shipped element, in order of key. Raises CatalogueError."""
    return [load_element(path) for path in sorted(SHIPPED_FOLDER.glob("*.toml"))]


@cache
def shipped_keys() -> frozenset[str]:
    """Return the keys of the shipped elements."""
    return frozenset(path.stem for path in SHIPPED_FOLDER.glob("*.toml"))


def load_element(path: Path) -> ElementDefinition:
    """Load the element that a TOML file defines. Raises CatalogueError, as read_element() does."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CatalogueError(f"{path.name}: cannot be read: {error.strerror}.") from error
    return read_element(content, path.name)


def read_element(content: bytes, name: str) -> ElementDefinition:
    """Read the element that a TOML text defines.

    name: of the file. An alias has the ways of authentication and the resources of a shipped element.

    Raises CatalogueError with one line per problem: where it is, and what is wrong.
    """
    definition = _parse(content, name)
    if problems := list(problems_of(definition)):
        raise _catalogue_error(name, problems)
    return _resolved(definition, name) if definition.alias_of else definition


def _resolved(definition: ElementDefinition, name: str) -> ElementDefinition:
    if definition.alias_of not in shipped_keys():
        why = f"{definition.alias_of} is not a shipped element."
        raise _catalogue_error(name, [("alias_of", why)])
    shared = load_element(SHIPPED_FOLDER / f"{definition.alias_of}.toml")
    return definition.model_copy(
        update={
            "authentication": shared.authentication,
            "events": shared.events,
            "hub_api": shared.hub_api,
            **{name: getattr(shared, name) for name in Available.model_fields},
        }
    )


def _parse(content: bytes, name: str) -> ElementDefinition:
    try:
        document = tomllib.loads(content.decode())
        if any("\x00" in text for text in _texts_in(document)):
            # PostgreSQL does not store it.
            raise CatalogueError(f"{name}: contains a NUL character.")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CatalogueError(f"{name}: is not valid TOML: {error}.") from error
    try:
        return ElementDefinition.model_validate(document)
    except ValidationError as error:
        raise _catalogue_error(name, [_problem(detail) for detail in error.errors()]) from error


def _texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)


def _problem(error: ErrorDetails) -> tuple[str, str]:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    sentences = {"extra_forbidden": "unknown key; see docs/howto/add-an-element.md."}
    if error["type"] == "missing":
        return place.removeprefix("."), "is missing."
    return place.removeprefix("."), sentences.get(error["type"], f"{error['msg']}.")


def _catalogue_error(name: str, problems: list[tuple[str, str]]) -> CatalogueError:
    return CatalogueError("\n".join(f"{name}: {place}: {why}" for place, why in problems))
