"""Load element files: TOML in, validated definitions out."""

import tomllib
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
    """Load the element that a TOML file defines.

    An alias has the ways of authentication and the resources of a shipped element.

    Raises CatalogueError with one line per problem: where it is, and what is wrong.
    """
    definition = _parse(path)
    if problems := list(problems_of(definition)):
        raise _catalogue_error(path, problems)
    return _resolved(definition, path) if definition.alias_of else definition


def _resolved(definition: ElementDefinition, path: Path) -> ElementDefinition:
    target = SHIPPED_FOLDER / f"{definition.alias_of}.toml"
    if not target.is_file():
        why = f"{definition.alias_of} is not a shipped element."
        raise _catalogue_error(path, [("alias_of", why)])
    shared = load_element(target)
    return definition.model_copy(
        update={
            "authentication": shared.authentication,
            "events": shared.events,
            "hub_api": shared.hub_api,
            **{name: getattr(shared, name) for name in Available.model_fields},
        }
    )


def _parse(path: Path) -> ElementDefinition:
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise CatalogueError(f"{path.name}: cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CatalogueError(f"{path.name}: is not valid TOML: {error}.") from error
    try:
        return ElementDefinition.model_validate(document)
    except ValidationError as error:
        raise _catalogue_error(path, [_problem(detail) for detail in error.errors()]) from error


def _problem(error: ErrorDetails) -> tuple[str, str]:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    sentences = {"extra_forbidden": "unknown key; see docs/howto/add-an-element.md."}
    if error["type"] == "missing":
        return place.removeprefix("."), "is missing."
    return place.removeprefix("."), sentences.get(error["type"], f"{error['msg']}.")


def _catalogue_error(path: Path, problems: list[tuple[str, str]]) -> CatalogueError:
    return CatalogueError("\n".join(f"{path.name}: {place}: {why}" for place, why in problems))
