"""Microsoft Dataverse: metadata, OData lists and lookups (contract for hubs, 8)."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from instances.errors import HubCallRefusedError, InvalidCallError, UnusableAnswerError
from instances.hubs.fields import Field, FieldType, ObjectMetadata
from instances.hubs.filters import Filter, ODataFilter
from instances.hubs.list_query import ListQuery
from instances.hubs.metadata_cache import cached
from instances.hubs.resources import Resource, no_resource
from instances.hubs.session import HubSession, value_at
from instances.hubs.values import guid_of
from instances.hubs.vendor import ListPage, Position

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BIND = re.compile(r"[A-Za-z][A-Za-z0-9_]*@odata\.bind")
_REFERENCE = re.compile(r"/?([a-z][a-z0-9_]*)\(([^()]*)\)")
_ATTRIBUTES = (
    "LogicalName,AttributeType,AttributeOf,DisplayName,IsCustomAttribute,IsValidForCreate,IsValidForUpdate,"
    "IsValidForRead,RequiredLevel"
)
_TYPES = {
    "String": FieldType.TEXT, "Memo": FieldType.TEXT, "Integer": FieldType.NUMBER, "BigInt": FieldType.NUMBER,
    "Decimal": FieldType.NUMBER, "Double": FieldType.NUMBER, "Money": FieldType.NUMBER, "Picklist": FieldType.NUMBER,
    "State": FieldType.NUMBER, "Status": FieldType.NUMBER, "Boolean": FieldType.BOOLEAN,
    "DateTime": FieldType.DATETIME, "Uniqueidentifier": FieldType.ID, "Lookup": FieldType.LOOKUP,
    "Customer": FieldType.LOOKUP, "Owner": FieldType.LOOKUP,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Relationship:
    """A lookup to one of its targets. property: binds it."""

    field: str
    target: str
    property: str


class Dataverse:
    """Implement vendor.Vendor."""

    filter_type: type[Filter] = ODataFilter

    def describe(self, session: HubSession, resource: Resource) -> ObjectMetadata:
        if resource.definition:
            path, id_field = resource.definition.path, resource.definition.id
        else:
            path, id_field = self._entity(session, resource.object)
        name = resource.object
        attributes = _values(session, f"{_definition(name)}/Attributes", _ATTRIBUTES)
        cast = f"{_definition(name)}/Attributes/Microsoft.Dynamics.CRM.DateTimeAttributeMetadata"
        days = {
            row["LogicalName"]
            for row in _values(session, cast, "LogicalName,DateTimeBehavior")
            if value_at(row, "DateTimeBehavior.Value") == "DateOnly"
        }
        fields = [_field(row, days) for row in attributes if _is_shown(row)]
        if id_field not in {field.name for field in fields}:
            raise _unusable(session)
        return ObjectMetadata(name, path, id_field, {field.name: field for field in fields})

    def _entity(self, session: HubSession, name: str) -> tuple[str, str]:
        """Return path and id field of an object. Raises HubCallRefusedError (404)."""
        if not _NAME.fullmatch(name):
            raise no_resource(name)
        query = urlencode({"$select": "EntitySetName,PrimaryIdAttribute"})
        try:
            found = session.get(f"{_definition(name)}?{query}")
        except HubCallRefusedError as error:
            if error.http_status == 404:
                raise no_resource(name) from None
            raise
        return _text(session, found, "EntitySetName"), _text(session, found, "PrimaryIdAttribute")

    def with_choices(self, session: HubSession, metadata: ObjectMetadata) -> ObjectMetadata:
        cast = f"{_definition(metadata.name)}/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
        rows = _values(session, cast, "LogicalName", expand="OptionSet($select=Options)")
        fields = dict(metadata.fields)
        for row in rows:
            if field := fields.get(row.get("LogicalName", "")):
                options = value_at(row, "OptionSet.Options") or []
                choices = tuple(
                    {"value": option.get("Value"), "displayValue": _label(option.get("Label"))}
                    for option in options
                )
                fields[field.name] = replace(field, choices=choices)
        return replace(metadata, fields=fields)

    def object_names(self, session: HubSession) -> list[str]:
        return [row["LogicalName"] for row in _values(session, "EntityDefinitions", "LogicalName")]

    def list_page(
        self, session: HubSession, metadata: ObjectMetadata, query: ListQuery, position: Position
    ) -> ListPage:
        page = int(position.get("page", 1 if position else query.page))
        if "link" in position or page == 1:
            return self._page_of_link(session, metadata, query, str(position.get("link", "")))
        return self._numbered_page(session, metadata, query, page)

    def _page_of_link(
        self, session: HubSession, metadata: ObjectMetadata, query: ListQuery, link: str
    ) -> ListPage:
        """Ask for the first page, or for that of a link."""
        api = session.api
        size = {
            name: text.format(size=query.page_size) for name, text in api.paging.size_header.items()
        }
        target = link or self._target(session, metadata, query)
        document = session.get(target, headers=size)
        next_link = value_at(document, api.paging.next_at)
        position = {"link": session.target_of_link(next_link)} if next_link else None
        return ListPage(
            _rows(session, document), next_position=position, total=_total(session, document)
        )

    def _numbered_page(
        self, session: HubSession, metadata: ObjectMetadata, query: ListQuery, page: int
    ) -> ListPage:
        """Ask for all records up to the page, since there are no offsets."""
        begin, end = (page - 1) * query.page_size, page * query.page_size
        if end + 1 > session.api.paging.max:
            raise InvalidCallError(
                f"page {page} of {query.page_size} is beyond the first {session.api.paging.max} records; use nextPage"
            )
        # One more, to learn whether there is a further page.
        document = session.get(self._target(session, metadata, query, top=end + 1))
        rows = _rows(session, document)
        has_next = len(rows) > end
        position = {"page": page + 1} if has_next else None
        return ListPage(rows[begin:end], next_position=position, total=_total(session, document))

    def _target(
        self, session: HubSession, metadata: ObjectMetadata, query: ListQuery, *, top: int = 0
    ) -> str:
        wrap = session.api.wrap
        written = self.filter_type(metadata, wrap=wrap)
        order = [(metadata.field(one.name, wrap=wrap), one.is_descending) for one in query.order_by]
        if metadata.id_field not in {field.name for field, _ in order}:
            # So that pages do not overlap.
            order.append((metadata.field("id"), False))
        options = {
            "$select": self._columns(metadata, query.fields),
            "$filter": written.write(query.where) if query.where else "",
            "$orderby": ",".join(
                written.column(field) + (" desc" if is_descending else "")
                for field, is_descending in order
            ),
            "$count": "true" if query.is_total_asked else "",
            "$top": str(top or ""),
        }
        return f"{metadata.path}?{_encoded(options)}"

    def select(self, session: HubSession, metadata: ObjectMetadata, names: tuple[str, ...]) -> str:
        return _encoded({"$select": self._columns(metadata, names)})

    def _columns(self, metadata: ObjectMetadata, names: tuple[str, ...]) -> str:
        if not names:
            return ""
        written = self.filter_type(metadata)
        fields = [metadata.field(name, wrap="attributes") for name in names]
        columns = {metadata.id_field: None} | {written.column(field): None for field in fields}
        return ",".join(columns)

    def shown_fields(
        self, session: HubSession, metadata: ObjectMetadata, row: Mapping[str, Any]
    ) -> dict[str, Any]:
        shown = {}
        for name, value in row.items():
            if "@" in name:
                continue
            lookup = name[1:].removesuffix("_value") if name.startswith("_") else ""
            shown[lookup if name == f"_{lookup}_value" else name] = value
        return shown

    def written_lookup(
        self, session: HubSession, metadata: ObjectMetadata, field: Field, value: Any
    ) -> dict[str, Any]:
        known = [one for one in self._relationships(session, metadata) if one.field == field.name]
        if value is None:
            return {f"{one.property}@odata.bind": None for one in known}
        target, record_id = _reference(field, value)
        chosen = [one for one in known if target in {"", one.target}]
        if len(chosen) != 1:
            names = ", ".join(sorted(one.target for one in known))
            why = (
                f'must be {{"LogicalName": …, "Id": …}} with one of: {names}'
                if names
                else "cannot be set"
            )
            raise HubCallRefusedError(f"The lookup {field.name} {why}")
        [one] = chosen
        path = cached(session, ("entity", one.target), lambda: self._entity(session, one.target))[0]
        return {f"{one.property}@odata.bind": f"/{path}({record_id})"}

    def _relationships(self, session: HubSession, metadata: ObjectMetadata) -> list[_Relationship]:
        def ask() -> list[_Relationship]:
            select = "ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName"
            rows = _values(session, f"{_definition(metadata.name)}/ManyToOneRelationships", select)
            return [
                _Relationship(*(str(row.get(name)) for name in select.split(","))) for row in rows
            ]

        return cached(session, ("relationships", metadata.name), ask)

    def is_own_property(self, name: str, value: Any) -> bool:
        found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        is_reference = bool(found and guid_of(found[2]))
        return bool(_BIND.fullmatch(name)) and (value is None or is_reference)


def _definition(name: str) -> str:
    """Return the path of an object's metadata. name: checked, or from the element's file."""
    return f"EntityDefinitions(LogicalName='{quote(name, safe='')}')"


def _values(
    session: HubSession, path: str, select: str, *, expand: str = ""
) -> list[dict[str, Any]]:
    document = session.get(f"{path}?{_encoded({'$select': select, '$expand': expand})}")
    rows = value_at(document, "value")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unusable(session)
    return rows


def _rows(session: HubSession, document: Any) -> list[dict[str, Any]]:
    rows = value_at(document, session.api.list_at)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unusable(session)
    return rows


def _total(session: HubSession, document: Any) -> int | None:
    total = value_at(document, session.api.total_at)
    is_known = isinstance(total, int) and total >= 0 and total != session.api.paging.total_max
    return total if is_known else None


def _text(session: HubSession, document: Any, key: str) -> str:
    text = value_at(document, key)
    if not (isinstance(text, str) and _NAME.fullmatch(text)):
        raise _unusable(session)
    return text


def _unusable(session: HubSession) -> UnusableAnswerError:
    return UnusableAnswerError(f"{session.provider} sent a response that could not be understood.")


def _is_shown(row: Mapping[str, Any]) -> bool:
    # Names and types that belong to a lookup are attributes of their own, but no properties.
    is_named = isinstance(row.get("LogicalName"), str)
    return is_named and not row.get("AttributeOf") and row.get("IsValidForRead") is not False


def _field(row: Mapping[str, Any], days: set[str]) -> Field:
    name, vendor_type = row["LogicalName"], str(row.get("AttributeType") or "")
    kind = _TYPES.get(vendor_type, FieldType.OTHER)
    return Field(
        name,
        FieldType.DATE if kind == FieldType.DATETIME and name in days else kind,
        vendor_type,
        label=_label(row.get("DisplayName")),
        is_custom=bool(row.get("IsCustomAttribute")),
        is_creatable=row.get("IsValidForCreate") is not False,
        is_updatable=row.get("IsValidForUpdate") is not False,
        is_required=value_at(row, "RequiredLevel.Value")
        in {"ApplicationRequired", "SystemRequired"},
        is_filterable=kind != FieldType.OTHER,
    )


def _label(label: Any) -> str:
    text = value_at(label, "UserLocalizedLabel.Label")
    return text if isinstance(text, str) else ""


def _reference(field: Field, value: Any) -> tuple[str, uuid.UUID]:
    """Read a reference: object name (empty if not stated) and id. Raises HubCallRefusedError."""
    target: Any = ""
    text = value
    if isinstance(value, dict):
        target, text = value.get("LogicalName"), value.get("Id")
    record_id = guid_of(text) if isinstance(text, str) else None
    if record_id is None or not isinstance(target, str):
        raise HubCallRefusedError(
            f'The lookup {field.name} must be a GUID or {{"LogicalName": …, "Id": …}}'
        )
    return target, record_id


def _encoded(options: Mapping[str, str]) -> str:
    given = {name: text for name, text in options.items() if text}
    return urlencode(given, quote_via=quote, safe="$,()'")
