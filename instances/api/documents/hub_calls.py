"""Objects and fields, as hub calls describe them (contract for hubs, 2)."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from instances.api.documents.base import ResponseDocument
from instances.hubs.fields import Field, FieldType

_TYPES = {
    FieldType.TEXT: "string",
    FieldType.NUMBER: "number",
    FieldType.BOOLEAN: "boolean",
    FieldType.DATE: "date",
    FieldType.DATETIME: "date",
    FieldType.ID: "string",
    FieldType.LOOKUP: "string",
    FieldType.OTHER: "object",
}


class ObjectDocument(ResponseDocument):
    """An object, with the provider's name of it."""

    name: str
    vendor_name: str
    type: Literal["vendor"] = "vendor"


class FieldDocument(ResponseDocument):
    """A field of an object."""

    vendor_path: str
    type: str
    format: str | None = None
    vendor_display_name: str | None
    vendor_native_type: str
    custom: bool
    vendor_read_only: bool
    vendor_required: bool
    filterable: bool
    createable: bool
    updateable: bool
    picklist_values: list[Mapping[str, Any]] | None

    @classmethod
    def of(cls, field: Field) -> Self:
        return cls(
            vendor_path=field.name,
            type=_TYPES[field.type],
            format=_format(field),
            vendor_display_name=field.label or None,
            vendor_native_type=field.vendor_type,
            custom=field.is_custom,
            vendor_read_only=not (field.is_creatable or field.is_updatable),
            vendor_required=field.is_required,
            filterable=field.is_filterable,
            createable=field.is_creatable,
            updateable=field.is_updatable,
            picklist_values=list(field.choices) or None,
        )


def _format(field: Field) -> str | None:
    formats = {FieldType.DATE: "yyyy-MM-dd", FieldType.DATETIME: "milliseconds"}
    return formats.get(field.type)
