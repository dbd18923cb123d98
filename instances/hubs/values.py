"""Values of conditions in the type of their field. The type decides how a value is read, not its looks."""

import re
import uuid
from datetime import UTC, date, datetime, timedelta

from instances.errors import InvalidConditionError
from instances.hubs.ceql import Value
from instances.hubs.fields import Field, FieldType

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(
    rf"({_DATE.pattern})[T ]([0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,9}})?)?)"
    r"\s*(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.IGNORECASE,
)
# Shorter ones are more likely a year or a day.
_MILLISECONDS = re.compile(r"-?[0-9]{9,15}")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_GUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Number(str):
    """A decimal number as it was written, without a plus sign."""

    __slots__ = ()


type TypedValue = str | bool | date | datetime | uuid.UUID | Number


def typed_value(field: Field, value: Value) -> TypedValue:
    """Return a value as its field's type needs it.

    Raises InvalidConditionError if it is no such value.
    """
    text = value.text.strip()
    found: TypedValue | None
    match field.type:
        case FieldType.TEXT:
            return value.text
        case FieldType.NUMBER:
            found = Number(text.lstrip("+")) if _NUMBER.fullmatch(text) else None
        case FieldType.BOOLEAN:
            found = _BOOLEANS.get(text.lower())
        case FieldType.DATE:
            found = _date(text)
        case FieldType.DATETIME:
            found = instant_of(text)
        case FieldType.ID | FieldType.LOOKUP:
            found = guid_of(text)
        case _:
            raise InvalidConditionError(f"{field.name} ({field.vendor_type}) cannot be filtered by")
    if found is None:
        raise InvalidConditionError(f"“{value.text[:100]}” is not a value of {_kind(field)}")
    return found


def guid_of(text: str) -> uuid.UUID | None:
    found = _GUID.fullmatch(text.strip())
    return uuid.UUID(found[1]) if found else None


def instant_of(text: str) -> datetime | None:
    """Read ISO 8601, UTC without an offset, or milliseconds since 1970; None if it is neither."""
    try:
        if _MILLISECONDS.fullmatch(text):
            return from_milliseconds(int(text))
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        if found := _DATETIME.fullmatch(text):
            day, time, offset = found.groups()
            instant = datetime.fromisoformat(f"{day}T{time}{(offset or 'Z').upper()}")
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    return None


def iso_instant(instant: datetime) -> str:
    """Write an instant in UTC, with milliseconds if it has any."""
    utc = instant.astimezone(UTC)
    milliseconds = utc.microsecond // 1000
    # Not strftime("%Y"), which does not pad years before 1000 everywhere.
    seconds = utc.replace(microsecond=0, tzinfo=None).isoformat()
    return f"{seconds}.{milliseconds:03d}Z" if milliseconds else f"{seconds}Z"


def from_milliseconds(milliseconds: int) -> datetime:
    """Raises OverflowError for an instant before the year 1 or after 9999."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds_of(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def _date(text: str) -> date | None:
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return None
    instant = instant_of(text)
    return instant.date() if instant else None


def _kind(field: Field) -> str:
    return f"the field {field.name}, whose type is {field.type}"
