"""Providers of which only what the element's file says is known (contract for hubs, 14)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from instances.catalogue.hub_api import HubApi
from instances.errors import InvalidCallError, UnusableAnswerError
from instances.hubs.fields import Field, FieldType, ObjectMetadata
from instances.hubs.list_query import ListQuery, Order
from instances.hubs.pagers import ProviderList, list_page
from instances.hubs.parameter_filters import ParameterFilters
from instances.hubs.resources import Resource
from instances.hubs.session import HubSession
from instances.hubs.vendor import ListPage, Position

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}")


@dataclass(frozen=True)
class StatedObject(ObjectMetadata):
    """An object with the fields that the element's file states; any other name may be that of a field, too."""

    def unknown_field(self, name: str) -> Field:
        if not _FIELD_NAME.fullmatch(name):
            return super().unknown_field(name)
        return Field(name, FieldType.TEXT, "", is_filterable=False)


class Rest:
    """Implement vendor.Vendor."""

    def describe(self, session: HubSession, resource: Resource) -> ObjectMetadata:
        definition = session.api.resources[resource.name]
        fields = {
            name: Field(name, FieldType.TEXT, "", is_filterable=False) for name in definition.fields
        }
        fields |= {
            one.field: Field(one.field, FieldType(one.type), "") for one in definition.filters
        }
        id_field = Field(definition.id, FieldType.TEXT, "", is_creatable=False, is_updatable=False)
        fields |= {
            name: Field(name, FieldType.TEXT, "", is_filterable=False)
            for name in definition.sortable
            if name not in fields
        }
        fields = {definition.id: fields.get(definition.id, id_field)} | fields
        return StatedObject(resource.name, definition.path, definition.id, fields)

    def with_choices(self, session: HubSession, metadata: ObjectMetadata) -> ObjectMetadata:
        return metadata

    def object_names(self, session: HubSession) -> list[str]:
        return list(session.api.resources)

    def list_page(
        self, session: HubSession, metadata: ObjectMetadata, query: ListQuery, position: Position
    ) -> ListPage:
        api = session.api
        definition = api.resources[metadata.name]
        parameters = definition.query | _selection(api, metadata, query.fields)
        if query.order_by:
            parameters |= _order(api, metadata, query.order_by)
        if query.where:
            parameters |= ParameterFilters(definition.filters, wrap=api.wrap).write(query.where)
        listed = api.place("list_at", metadata.name)
        source = ProviderList(session, metadata.path, parameters, listed)
        return list_page(source, query, position)

    def select(self, session: HubSession, metadata: ObjectMetadata, names: tuple[str, ...]) -> str:
        return urlencode(_selection(session.api, metadata, names), quote_via=quote, safe=",")

    def shown_fields(
        self, session: HubSession, metadata: ObjectMetadata, row: Mapping[str, Any]
    ) -> dict[str, Any]:
        wrap = session.api.wrap
        fields = row.get(wrap) if wrap else row
        if not isinstance(fields, Mapping):
            raise UnusableAnswerError(
                f"{session.provider} sent a response that could not be understood."
            )
        return dict(fields)

    def written_lookup(
        self, session: HubSession, metadata: ObjectMetadata, field: Field, value: Any
    ) -> dict[str, Any]:
        return {field.name: value}

    def is_own_property(self, name: str, value: Any) -> bool:
        # Which fields there are, only the provider knows.
        return True


def _order(api: HubApi, metadata: ObjectMetadata, order_by: Sequence[Order]) -> dict[str, str]:
    """Return the parameters that ask for an order. Raises InvalidCallError if the provider has none like it."""
    sorting, sortable = api.sorting, api.resources[metadata.name].sortable
    if not (sorting and sortable):
        raise InvalidCallError(f"{metadata.name} of this element cannot be sorted. Omit orderBy")
    if len(order_by) > 1 and not sorting.separator:
        raise InvalidCallError("orderBy: lists of this element can be sorted by one field only")
    by_name = {name.lower(): own for name, own in sortable.items()}
    parts = []
    for one in order_by:
        name = metadata.field(one.name, wrap=api.wrap).name
        if name.lower() not in by_name:
            known = ", ".join(sortable)
            raise InvalidCallError(
                f"orderBy: {metadata.name} can be sorted by {known}, not by “{name}”"
            )
        direction = sorting.descending if one.is_descending else sorting.ascending
        parts.append((by_name[name.lower()], direction))
    if sorting.direction_parameter:
        field, direction = parts[0]
        return {sorting.parameter: field, sorting.direction_parameter: direction}
    texts = [direction.replace("{field}", field) for field, direction in parts]
    return {sorting.parameter: sorting.separator.join(texts)}


def _selection(api: HubApi, metadata: ObjectMetadata, names: tuple[str, ...]) -> dict[str, str]:
    """Return the parameter with the fields to send; empty if the provider sends what it wants."""
    wanted = names or api.resources[metadata.name].fields
    if not (api.select and wanted):
        return {}
    # Within a wrap, the id is not one of the fields.
    columns = [] if api.wrap else [metadata.id_field]
    columns += [metadata.field(name, wrap=api.wrap).name for name in wanted]
    return {api.select: ",".join(dict.fromkeys(columns))}
