"""Records as hub calls show and take them (contract for hubs, 3 and 4)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from instances.errors import HubCallRefusedError, UnusableAnswerError
from instances.hubs.fields import Field, FieldType, ObjectMetadata
from instances.hubs.session import HubSession
from instances.hubs.values import from_milliseconds, instant_of, iso_instant, milliseconds_of
from instances.hubs.vendor import Vendor

# The configuration key that keeps keys with null in answers; by default they are left out (contract for hubs, 10).
NULLS_KEY = "filter.response.nulls"


class Records:
    """Translate records of one object between the provider's form and that of hub calls."""

    def __init__(self, session: HubSession, vendor: Vendor, metadata: ObjectMetadata) -> None:
        self._session = session
        self._vendor = vendor
        self._metadata = metadata

    def shown(self, row: Mapping[str, Any], names: Iterable[str] = ()) -> dict[str, Any]:
        """Return a record as an answer shows it. names: of the fields that were asked for; empty for all."""
        api, metadata = self._session.api, self._metadata
        fields = self._vendor.shown_fields(self._session, metadata, row)
        if asked := {metadata.field(name, wrap=api.wrap).name for name in names}:
            # Of "owner.name", the whole owner.
            asked |= {metadata.id_field, *(name.partition(".")[0] for name in asked)}
            fields = {name: value for name, value in fields.items() if name in asked}
        if api.dates:
            fields = {name: self._with_milliseconds(name, value) for name, value in fields.items()}
        record_id = row.get(metadata.id_field)
        record = {"id": record_id, api.wrap: fields} if api.wrap else {**fields, "id": record_id}
        return _without_unwanted_nulls(self._session, record)

    def written(self, body: Any, *, is_new: bool) -> dict[str, Any]:
        """Return a body of a hub call as the provider takes it. Raises HubCallRefusedError."""
        values = self._values_of(body)
        written: dict[str, Any] = {}
        for name, value in values.items():
            if self._vendor.is_own_property(name, value):
                written[name] = value
                continue
            field = self._writable(name, is_new=is_new)
            value = None if value == "" else value
            if is_new and value is None:
                continue
            if field.type == FieldType.LOOKUP:
                written |= self._vendor.written_lookup(self._session, self._metadata, field, value)
            else:
                written[field.name] = self._written_value(field, value)
        return written

    def _values_of(self, body: Any) -> dict[str, Any]:
        wrap = self._session.api.wrap
        values = body.get(wrap) if wrap and isinstance(body, dict) else body
        # What is not understood is refused, not left out: "action" has a meaning at the vendor.
        is_wrapped = wrap is None or set(body) <= {wrap, "id"}
        if not isinstance(values, dict) or not values or not is_wrapped:
            shape = f'{{"{wrap}": {{…}}}}' if wrap else "an object"
            raise HubCallRefusedError(f"The body must be {shape} with the fields of the record")
        return values if wrap else {name: value for name, value in values.items() if name != "id"}

    def _writable(self, name: str, *, is_new: bool) -> Field:
        field = self._metadata.field(name)
        is_allowed = field.is_creatable if is_new else field.is_updatable
        if not is_allowed:
            raise HubCallRefusedError(f"The field {field.name} cannot be written")
        return field

    def _written_value(self, field: Field, value: Any) -> Any:
        if isinstance(value, dict | list):
            raise HubCallRefusedError(f"The field {field.name} takes no object and no list")
        is_date = field.type in {FieldType.DATE, FieldType.DATETIME}
        if not is_date or value is None:
            return value
        instant = _instant(value)
        if instant is None:
            raise HubCallRefusedError(
                f"The field {field.name} takes milliseconds since 1970, or a date in ISO 8601"
            )
        return instant.date().isoformat() if field.type == FieldType.DATE else iso_instant(instant)

    def _with_milliseconds(self, name: str, value: Any) -> Any:
        field = self._metadata.fields.get(name)
        if field is None or field.type != FieldType.DATETIME or not isinstance(value, str):
            return value
        instant = instant_of(value)
        return milliseconds_of(instant) if instant else value


def _instant(value: Any) -> datetime | None:
    """Read a date of a body: milliseconds since 1970, or a text as conditions have it."""
    if isinstance(value, str):
        return instant_of(value)
    try:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return from_milliseconds(value) if is_number else None
    except OverflowError:
        return None


def queried(session: HubSession, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of a query in Salesforce's own language; sums and the like have no id."""
    # Type and address of the record at Salesforce.
    fields = {name: value for name, value in row.items() if name != "attributes"}
    return _without_unwanted_nulls(session, fields | {"id": row.get("Id")})


def _without_unwanted_nulls(session: HubSession, record: dict[str, Any]) -> dict[str, Any]:
    is_filtered = str(session.instance.configuration.get(NULLS_KEY, "true")).lower() != "false"
    try:
        return _without_nulls(record) if is_filtered else record
    except RecursionError:
        raise UnusableAnswerError(
            f"{session.provider} sent a record that is nested too deeply to be read."
        ) from None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value
