"""What an operator's element file would change: the difference from the installed element, and the instances concerned."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from instances.catalogue.definition import ElementDefinition
from instances.catalogue.loading import read_element
from instances.crypto import sealing
from instances.errors import CatalogueError
from instances.models import Element, Instance
from instances.provisioning.elements import require_same_identity, store_elements

MAX_FILE_BYTES = 262_144
# What tells the entries of a list apart, instead of their position, which changes with every new entry.
_NAMES = ("key", "type", "name")


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs.

    place: such as "authentication[oauth2].token_endpoint". before, after: as JSON; empty if there is none. instances:
    how many use what the place is part of.
    """

    place: str
    before: str
    after: str
    instances: int


@dataclass(frozen=True, slots=True)
class ElementChange:
    """installed: the element as it is now; None for a new one. mark: of this very change, of these two versions."""

    definition: ElementDefinition
    installed: Element | None
    differences: list[Difference]
    mark: str


def change_of(content: bytes, file_name: str) -> ElementChange:
    """Compare an element file with what is installed.

    Raises CatalogueError, with one line per problem of the file.
    """
    if len(content) > MAX_FILE_BYTES:
        raise CatalogueError(
            f"{file_name}: is longer than {MAX_FILE_BYTES} bytes. Shorten its texts, or load it with "
            "manage.py sync_elements."
        )
    definition = read_element(content, file_name)
    same = Element.objects.filter(Q(key=definition.key) | Q(pk=definition.id))
    require_same_identity(definition, same)
    installed = same.first()
    before = _values_of(installed.parsed) if installed else {}
    after = _values_of(definition)
    users = _users_of(installed)
    differences = [
        Difference(place, before.get(place, ""), after.get(place, ""), _count(users, place))
        for place in dict.fromkeys((*before, *after))
        if before.get(place) != after.get(place)
    ]
    mark = sealing.digest(json.dumps([before, after]))
    return ElementChange(definition, installed, differences, mark)


def apply_change(content: bytes, file_name: str, *, mark: str) -> ElementChange | None:
    """Store an element file; None if it is not the change with this mark, since either version is another one now.

    Raises CatalogueError, with one line per problem of the file.
    """
    with transaction.atomic():
        # Two operators wait for each other here; SQLite has one writer anyway.
        list(Element.objects.select_for_update().values_list("pk", flat=True))
        change = change_of(content, file_name)
        if change.mark != mark:
            return None
        store_elements([change.definition], Element.Source.OWN)
    return change


def _values_of(definition: ElementDefinition) -> dict[str, str]:
    return dict(_flat(definition.model_dump(mode="json", exclude_defaults=True)))


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the JSON text of each value that has no parts."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        for name, inner in _named(value):
            yield from _flat(inner, f"{place}[{name}]")
    else:
        yield place, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _named(entries: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in _NAMES:
        names = [entry.get(key) for entry in entries]
        if all(names) and len(set(names)) == len(names):
            yield from zip(map(str, names), entries, strict=True)
            return
    yield from ((str(index), entry) for index, entry in enumerate(entries))


def _users_of(element: Element | None) -> Counter[str]:
    """Return how many instances use each way of authentication."""
    instances = Instance.objects.filter(element=element).order_by()
    return Counter(dict(instances.values_list("authentication_type").annotate(Count("pk"))))


def _count(users: Counter[str], place: str) -> int:
    kind, is_way, _ = place.removeprefix("authentication[").partition("]")
    if place.startswith("authentication[") and is_way:
        return users[kind]
    return users.total()
