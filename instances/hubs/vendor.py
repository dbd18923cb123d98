"""What differs between families of providers in code: their metadata, filters and lookups (dataverse.py, salesforce.py, rest.py)."""

from collections.abc import Mapping
from typing import Any, Protocol

from instances.hubs.fields import Field, ObjectMetadata
from instances.hubs.list_query import ListQuery
from instances.hubs.resources import Resource
from instances.hubs.session import HubSession

# Where a page begins, as vendors name it; empty for the first one.
type Position = Mapping[str, Any]


class ListPage:
    """One page of a list, as the provider sent it. next: where the next page begins; None if this is the last one."""

    def __init__(
        self, rows: list[dict[str, Any]], *, next_position: Position | None, total: int | None
    ) -> None:
        self.rows = rows
        self.next_position = next_position
        self.total = total


class Vendor(Protocol):
    """One family of providers. Every method raises what HubSession.send() raises."""

    def describe(self, session: HubSession, resource: Resource) -> ObjectMetadata:
        """Ask for the fields of a resource's object. Raises HubCallRefusedError (404) if there is no such object."""
        ...

    def with_choices(self, session: HubSession, metadata: ObjectMetadata) -> ObjectMetadata:
        """Ask for what only the metadata of an object shows, such as the choices of its fields."""
        ...

    def object_names(self, session: HubSession) -> list[str]:
        """Ask for the names of all objects."""
        ...

    def list_page(
        self, session: HubSession, metadata: ObjectMetadata, query: ListQuery, position: Position
    ) -> ListPage:
        """Ask for one page of records."""
        ...

    def select(self, session: HubSession, metadata: ObjectMetadata, names: tuple[str, ...]) -> str:
        """Return the query of a request for one record, or an empty string. names: empty for all fields."""
        ...

    def shown_fields(
        self, session: HubSession, metadata: ObjectMetadata, row: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the fields of a record, under the names of the metadata."""
        ...

    def written_lookup(
        self, session: HubSession, metadata: ObjectMetadata, field: Field, value: Any
    ) -> dict[str, Any]:
        """Return what a body says to set a lookup. Raises HubCallRefusedError."""
        ...

    def is_own_property(self, name: str, value: Any) -> bool:
        """Whether a property of a body that is no field is passed on as it is."""
        ...
