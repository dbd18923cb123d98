"""Keep the catalogue in the database: shipped elements and operators' own."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction

from instances.catalogue.definition import ElementDefinition
from instances.catalogue.loading import load_element, shipped_elements
from instances.errors import CatalogueError, UnknownElementError
from instances.models import Element, Organization
from instances.provisioning.former_defaults import keep_former_defaults
from instances.queries.prepared import Param, PreparedQuery


@dataclass(slots=True)
class SyncReport:
    """The element keys by what happened to them.

    kept: an operator's own element overrides the shipped one.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


# The parsed definition is cached, so the column is hardly ever read.
_ACTIVE = Element.objects.active().defer("definition").order_by()
_BY_KEY = PreparedQuery(_ACTIVE.filter(key=Param("key")))
_BY_NUMBER = PreparedQuery(_ACTIVE.filter(pk=Param("number")))


def find_element(key_or_id: str) -> Element:
    """Return an active element by its key or its number.

    Raises UnknownElementError.
    """
    found = _BY_KEY.first(key=key_or_id)
    if found is None and key_or_id.isascii() and key_or_id.isdigit() and len(key_or_id) < 10:
        found = _BY_NUMBER.first(number=int(key_or_id))
    if found is None:
        raise UnknownElementError(f"No element found with key or ID {key_or_id[:100]}")
    return found


def sync_elements(files: Iterable[Path] = ()) -> SyncReport:
    """Load the shipped catalogue, or an operator's element files, into the database.

    Safe to run again. An element that is no longer shipped becomes inactive and is kept, since instances may use it.

    Raises CatalogueError before anything is written.
    """
    if paths := list(files):
        return store_elements([load_element(path) for path in paths], Element.Source.OWN)
    return store_elements(shipped_elements(), Element.Source.SHIPPED)


def store_elements(definitions: Collection[ElementDefinition], source: str) -> SyncReport:
    """Store definitions: one's own, or the whole shipped catalogue.

    Raises CatalogueError before anything is written.
    """
    report = SyncReport()
    with transaction.atomic():
        known = {element.key: element for element in Element.objects.all()}
        for definition in definitions:
            _sync_element(definition, source, known, report)
        if source == Element.Source.SHIPPED:
            _retire_missing({definition.key for definition in definitions}, known, report)
    return report


def _sync_element(
    definition: ElementDefinition, source: str, known: dict[str, Element], report: SyncReport
) -> None:
    element = known.get(definition.key)
    if element and element.source == Element.Source.OWN and source == Element.Source.SHIPPED:
        report.kept.append(definition.key)
        return
    require_same_identity(definition, known.values())
    columns = {
        "key": definition.key,
        "name": definition.name,
        "hub": definition.hub,
        "source": source,
        "is_active": definition.active,
        "status": definition.status.value,
        "last_sunset_on": definition.last_sunset_on,
        "definition": definition.model_dump(mode="json", exclude_defaults=True),
    }
    if element and all(getattr(element, name) == value for name, value in columns.items()):
        return
    (report.changed if element else report.added).append(definition.key)
    before = element.definition if element else None
    known[definition.key], _ = Element.objects.update_or_create(id=definition.id, defaults=columns)
    if before is not None:
        keep_former_defaults(known[definition.key], before)


def offer_element(
    element: Element,
    *,
    to_all: bool,
    added: Iterable[Organization] = (),
    removed: Iterable[Organization] = (),
) -> None:
    """Change which organizations may use an element for new instances."""
    with transaction.atomic():
        element.organizations.remove(*removed)
        element.organizations.add(*added)
        element.is_for_all = to_all
        element.save(update_fields=["is_for_all"])


def require_same_identity(definition: ElementDefinition, known: Iterable[Element]) -> None:
    """Raise CatalogueError if one of the known elements has the key or the id, but not both."""
    for element in known:
        if element.id == definition.id and element.key != definition.key:
            raise CatalogueError(
                f"{definition.key}.toml: id: {definition.id} already belongs to {element.key}. Choose another id."
            )
        if element.key == definition.key and element.id != definition.id:
            raise CatalogueError(
                f"{definition.key}.toml: id: this element has the id {element.id}, which must not change."
            )


def _retire_missing(keys: set[str], known: dict[str, Element], report: SyncReport) -> None:
    for element in known.values():
        if (
            element.source == Element.Source.SHIPPED
            and element.is_active
            and element.key not in keys
        ):
            element.is_active = False
            element.save(update_fields=["is_active"])
            report.removed.append(element.key)
