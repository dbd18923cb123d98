"""The records of the CRM: those from the start, and on top of them what was written."""

import re
import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from instances.sandbox.crm_rows import Row
from instances.sandbox.entities import ETAG, Entity, entity_names, entity_sets
from instances.sandbox.models import CrmRecord

_BINDING = re.compile(r"/?([a-z]+)\(([0-9a-fA-F-]{36})\)")
# What the JSON values of a column's type are.
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,), "Memo": (str,), "Integer": (int,), "Picklist": (int,), "State": (int,),
    "Money": (int, float), "Decimal": (int, float), "Boolean": (bool,), "DateTime": (str,), "DateOnly": (str,),
}  # fmt: skip


class CrmError(Exception):
    """A request that the CRM refuses. The message is shown."""

    def __init__(self, status: int, message: str, code: str = "0x80060888") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def all_rows(entity: Entity) -> list[Row]:
    """Return all records; do not change them."""
    if entity.union_of:
        return [row for name in entity.union_of for row in all_rows(entity_names()[name])]
    written = CrmRecord.objects.filter(entity_set=entity.set_name)
    changes = {str(record.record_id): record for record in written.order_by("pk")}
    if not changes:
        return list(entity.rows.values())
    rows = [row for key, row in entity.rows.items() if key not in changes]
    return rows + [record.properties for record in changes.values() if not record.is_deleted]


def find(entity: Entity, record_id: str) -> Row | None:
    """Return a record; do not change it."""
    if entity.union_of:
        parts = (find(entity_names()[name], record_id) for name in entity.union_of)
        return next(filter(None, parts), None)
    written = CrmRecord.objects.filter(entity_set=entity.set_name, record_id=record_id).first()
    if written:
        return None if written.is_deleted else written.properties
    return entity.rows.get(record_id)


def create(entity: Entity, body: Any, *, record_id: str = "") -> Row:
    """Store a new record. Raises CrmError."""
    values = _checked(entity, body)
    missing = [c.name for c in entity.columns if c.is_required and values.get(c.name) in {None, ""}]
    if missing:
        raise CrmError(400, f"A required field is missing: {', '.join(missing)}.", "0x80040203")
    key = record_id or str(uuid.uuid4())
    now = _now()
    stamps = {"createdon": now, "modifiedon": now} | (
        {"statecode": 0} if "statecode" in entity.by_property else {}
    )
    row = entity.empty | stamps | values | {entity.id_column: key}
    _name_person(row)
    try:
        with transaction.atomic():
            CrmRecord.objects.create(entity_set=entity.set_name, record_id=key, properties=row)
    except IntegrityError:
        raise CrmError(
            412, "A record with matching key values already exists.", "0x80040237"
        ) from None
    return row


def update(entity: Entity, record_id: str, body: Any, *, if_match: str) -> Row:
    """Change a record.

    if_match: `*`, an ETag, or empty, which also creates the record. Raises CrmError.
    """
    found = find(entity, record_id)
    if found is None:
        if if_match:
            raise _missing(entity, record_id)
        return create(entity, body, record_id=record_id)
    _require_match(if_match, found)
    row = found | _checked(entity, body) | {"modifiedon": _now()}
    _name_person(row)
    return _stored(entity, row, is_deleted=False)


def delete(entity: Entity, record_id: str, *, if_match: str) -> None:
    """Delete a record. Raises CrmError."""
    found = find(entity, record_id)
    if found is None:
        raise _missing(entity, record_id)
    _require_match(if_match, found)
    _stored(entity, found, is_deleted=True)


def _stored(entity: Entity, row: Row, *, is_deleted: bool) -> Row:
    """Store a record that was read with this ETag, and return it. Raises CrmError if it has changed meanwhile."""
    version = int(row[ETAG].strip('W/"'))
    row = row | {ETAG: f'W/"{version + 1}"'}
    values = {"version": version + 1, "properties": row, "is_deleted": is_deleted}
    key = {"entity_set": entity.set_name, "record_id": row[entity.id_column]}
    if CrmRecord.objects.filter(**key, version=version).update(**values):
        return row
    try:
        with transaction.atomic():
            CrmRecord.objects.create(**key, **values)
    except IntegrityError:
        raise _changed() from None
    return row


def _require_match(if_match: str, row: Row) -> None:
    if if_match not in {"", "*", row[ETAG]}:
        raise _changed()


def _changed() -> CrmError:
    message = "The version of the existing record doesn't match the RowVersion property provided."
    return CrmError(412, message, "0x80060882")


def _checked(entity: Entity, body: Any) -> Row:
    """Return the properties that a body sets. Raises CrmError."""
    if not isinstance(body, dict):
        raise CrmError(400, "Error identified in Payload provided by the user.", "0x80048d19")
    values: Row = {}
    for name, value in body.items():
        values |= (
            _bound(entity, name, value)
            if name.endswith("@odata.bind")
            else _property(entity, name, value)
        )
    return values


def _property(entity: Entity, name: str, value: Any) -> Row:
    column = entity.by_property.get(name)
    if column is None or column.targets:
        raise CrmError(
            400,
            f"Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{entity.name}'.",
            "0x80048d19",
        )
    if column.is_read_only:
        return {}
    is_right = isinstance(value, _JSON_TYPES[column.type]) and (
        column.type == "Boolean" or not isinstance(value, bool)
    )
    if value is not None and not is_right:
        raise CrmError(400, f"Cannot convert a value to target type of '{name}'.", "0x80048d19")
    return {name: _time_checked(name, column.type, value)}


def _time_checked(name: str, kind: str, value: Any) -> Any:
    pattern = {
        "DateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
        "DateOnly": r"\d{4}-\d\d-\d\d",
    }.get(kind)
    if pattern and value is not None and not re.fullmatch(pattern, value):
        raise CrmError(400, f"Cannot convert the literal of '{name}' to {kind}.", "0x80048d19")
    return value


def _bound(entity: Entity, name: str, value: Any) -> Row:
    binding = entity.bindings.get(name.removesuffix("@odata.bind"))
    if binding is None:
        raise CrmError(400, f"Invalid property '{name}' was found.", "0x80048d19")
    column, target = binding
    if value is None:
        return {column.stored_as: None}
    found = _BINDING.fullmatch(value) if isinstance(value, str) else None
    referred = entity_sets().get(found[1]) if found else None
    if found is None or referred is not entity_names()[target]:
        raise CrmError(400, f"The value of '{name}' is no reference to {target}.", "0x80048d19")
    if find(referred, found[2].lower()) is None:
        raise _missing(referred, found[2])
    return {column.stored_as: found[2].lower()}


def _name_person(row: Row) -> None:
    if "firstname" in row:
        row["fullname"] = " ".join(filter(None, (row["firstname"], row["lastname"]))) or None


def _missing(entity: Entity, record_id: str) -> CrmError:
    return CrmError(
        404, f"Entity '{entity.name}' With Id = {record_id} Does Not Exist", "0x80040217"
    )


def _now() -> str:
    return timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
