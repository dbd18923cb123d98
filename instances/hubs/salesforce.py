"""Salesforce: metadata of sObjects, and lists in SOQL (contract for hubs, 8.2 and 14.3)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from instances.errors import HubCallRefusedError, InvalidCallError, UnusableAnswerError
from instances.hubs.ceql import Comparison, Junction, Value
from instances.hubs.fields import Field, FieldType, ObjectMetadata
from instances.hubs.filters import Filter, SoqlFilter
from instances.hubs.list_query import ListQuery
from instances.hubs.resources import Resource, no_resource
from instances.hubs.session import HubSession, value_at
from instances.hubs.vendor import ListPage, Position

# Of SOQL's OFFSET.
MAX_OFFSET = 2000
# Of the records in one response to a query.
MIN_BATCH, MAX_BATCH = 200, 2000
_ID = "Id"
_TYPES = {
    "string": FieldType.TEXT, "textarea": FieldType.TEXT, "email": FieldType.TEXT, "phone": FieldType.TEXT,
    "url": FieldType.TEXT, "picklist": FieldType.TEXT, "combobox": FieldType.TEXT, "id": FieldType.TEXT,
    "reference": FieldType.TEXT, "encryptedstring": FieldType.TEXT, "int": FieldType.NUMBER,
    "long": FieldType.NUMBER, "double": FieldType.NUMBER, "currency": FieldType.NUMBER, "percent": FieldType.NUMBER,
    "boolean": FieldType.BOOLEAN, "date": FieldType.DATE, "datetime": FieldType.DATETIME,
}  # fmt: skip
# Not in lists, unless asked for: files, of which a query may return one.
_FILES = "base64"


class Salesforce:
    """Implement vendor.Vendor."""

    filter_type: type[Filter] = SoqlFilter

    def describe(self, session: HubSession, resource: Resource) -> ObjectMetadata:
        definition = resource.definition
        path = definition.path if definition else f"sobjects/{quote(resource.object, safe='')}"
        try:
            document = session.get(f"{path}/describe")
        except HubCallRefusedError as error:
            if error.http_status == 404:
                raise no_resource(resource.name) from None
            raise
        rows = _rows(session, document, "fields")
        fields = [_field(row) for row in rows if isinstance(row.get("name"), str)]
        metadata = ObjectMetadata(
            resource.object, path, _ID, {field.name: field for field in fields}
        )
        if _ID not in metadata.fields:
            raise _unusable(session)
        return metadata

    def with_choices(self, session: HubSession, metadata: ObjectMetadata) -> ObjectMetadata:
        return metadata

    def object_names(self, session: HubSession) -> list[str]:
        rows = _rows(session, session.get("sobjects"), "sobjects")
        return [row["name"] for row in rows if isinstance(row.get("name"), str)]

    def list_page(
        self, session: HubSession, metadata: ObjectMetadata, query: ListQuery, position: Position
    ) -> ListPage:
        offset = int(position.get("offset", 0 if position else (query.page - 1) * query.page_size))
        if offset > MAX_OFFSET:
            raise InvalidCallError(
                f"Salesforce shows the first {MAX_OFFSET} records of a page number or of an order; without orderBy, "
                "nextPage leads through all of them"
            )
        total = self._total(session, metadata, query) if query.is_total_asked else None
        asked = query
        if after := position.get("after"):
            condition = Comparison(_ID, ">", Value(str(after), is_quoted=True))
            terms = (query.where, condition) if query.where else (condition,)
            asked = replace(query, where=Junction("AND", terms) if query.where else condition)
        soql = self._soql(metadata, asked, limit=query.page_size + 1, offset=offset)
        document = session.get(_query(soql))
        rows = _rows(session, document, session.api.list_at)
        # Salesforce divides long answers itself.
        has_next = len(rows) > query.page_size or value_at(document, "done") is False
        rows = rows[: query.page_size]
        return ListPage(
            rows, next_position=self._next(query, rows, offset) if has_next else None, total=total
        )

    def query_page(
        self, session: HubSession, soql: str, page_size: int, position: Position
    ) -> ListPage:
        """Ask for one page of a query in the caller's own SOQL.

        A position is {"link": target of one of Salesforce's pages, "skip": its records that earlier pages had}.
        """
        target, skip = str(position.get("link") or _query(soql)), int(position.get("skip", 0))
        batch = min(max(page_size, MIN_BATCH), MAX_BATCH)
        headers = {"Sforce-Query-Options": f"batchSize={batch}"}
        document = session.get(target, headers=headers)
        rows = _rows(session, document, session.api.list_at)
        end = skip + page_size
        next_link = value_at(document, "nextRecordsUrl")
        next_position: Position | None = None
        if len(rows) > end:
            next_position = {"link": target, "skip": end}
        elif isinstance(next_link, str):
            next_position = {"link": session.target_of_link(next_link), "skip": 0}
        total = value_at(document, session.api.total_at)
        return ListPage(
            rows[skip:end],
            next_position=next_position,
            total=total if isinstance(total, int) else None,
        )

    def _next(self, query: ListQuery, rows: list[dict[str, Any]], offset: int) -> Position:
        if query.order_by or not rows:
            return {"offset": offset + query.page_size}
        return {"after": rows[-1].get(_ID)}

    def _total(self, session: HubSession, metadata: ObjectMetadata, query: ListQuery) -> int | None:
        where = self._where(metadata, query)
        soql = f"SELECT COUNT() FROM {metadata.name}{where}"  # noqa: S608  written from the tree
        total = value_at(session.get(_query(soql)), session.api.total_at)
        return total if isinstance(total, int) else None

    def _soql(self, metadata: ObjectMetadata, query: ListQuery, *, limit: int, offset: int) -> str:
        order = [(metadata.field(one.name), one.is_descending) for one in query.order_by]
        names = [f"{field.name} {'DESC' if down else 'ASC'}" for field, down in order]
        if _ID not in {field.name for field, _ in order}:
            # So that pages do not overlap.
            names.append(f"{_ID} ASC")
        columns = ", ".join(self._columns(metadata, query.fields))
        parts = [
            f"SELECT {columns} FROM {metadata.name}{self._where(metadata, query)}",  # noqa: S608  as above
            f"ORDER BY {', '.join(names)} LIMIT {limit}",
            f"OFFSET {offset}" if offset else "",
        ]
        return " ".join(filter(None, parts))

    def _where(self, metadata: ObjectMetadata, query: ListQuery) -> str:
        return f" WHERE {self.filter_type(metadata).write(query.where)}" if query.where else ""

    def select(self, session: HubSession, metadata: ObjectMetadata, names: tuple[str, ...]) -> str:
        columns = self._columns(metadata, names) if names else ()
        return urlencode({"fields": ",".join(columns)}, safe=",") if columns else ""

    def _columns(self, metadata: ObjectMetadata, names: tuple[str, ...]) -> list[str]:
        if names:
            return list(dict.fromkeys([_ID, *(metadata.field(name).name for name in names)]))
        return [field.name for field in metadata.fields.values() if field.vendor_type != _FILES]

    def shown_fields(
        self, session: HubSession, metadata: ObjectMetadata, row: Mapping[str, Any]
    ) -> dict[str, Any]:
        # Type and address of the record at Salesforce.
        return {name: value for name, value in row.items() if name != "attributes"}

    def written_lookup(
        self, session: HubSession, metadata: ObjectMetadata, field: Field, value: Any
    ) -> dict[str, Any]:
        return {field.name: value}

    def is_own_property(self, name: str, value: Any) -> bool:
        return False


def _query(soql: str) -> str:
    return f"query?q={quote(soql, safe='')}"


def _rows(session: HubSession, document: Any, place: str) -> list[dict[str, Any]]:
    rows = value_at(document, place)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unusable(session)
    return rows


def _unusable(session: HubSession) -> UnusableAnswerError:
    return UnusableAnswerError(f"{session.provider} sent a response that could not be understood.")


def _field(row: Mapping[str, Any]) -> Field:
    vendor_type = str(row.get("type") or "")
    is_needed = not (row.get("nillable", True) or row.get("defaultedOnCreate", True))
    choices = tuple(
        {"value": choice.get("value"), "displayValue": choice.get("label")}
        for choice in row.get("picklistValues") or ()
        if isinstance(choice, dict) and choice.get("active", True)
    )
    return Field(
        row["name"],
        _TYPES.get(vendor_type, FieldType.OTHER),
        vendor_type,
        label=str(row.get("label") or ""),
        is_custom=bool(row.get("custom")),
        is_creatable=bool(row.get("createable")),
        is_updatable=bool(row.get("updateable")),
        is_required=is_needed and bool(row.get("createable")),
        is_filterable=row.get("filterable") is not False,
        choices=choices,
    )
