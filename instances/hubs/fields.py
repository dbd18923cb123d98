"""What a provider says about its objects: their fields and the types of these."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from instances.errors import HubCallRefusedError


class FieldType(StrEnum):
    """How a value is written in filters and shown in records."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    # A day without a time.
    DATE = "date"
    # An instant.
    DATETIME = "datetime"
    # A GUID.
    ID = "id"
    # The id of another record.
    LOOKUP = "lookup"
    # Anything else; it cannot be filtered by.
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object. vendor_type: the provider's name of the type. targets: objects that a lookup refers to."""

    name: str
    type: FieldType
    vendor_type: str
    label: str = ""
    is_custom: bool = False
    is_creatable: bool = True
    is_updatable: bool = True
    is_required: bool = False
    is_filterable: bool = True
    targets: tuple[str, ...] = ()
    choices: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class ObjectMetadata:
    """One object of a provider. path: below the base URL. fields: by name."""

    name: str
    path: str
    id_field: str
    fields: Mapping[str, Field]

    @cached_property
    def _by_lower_name(self) -> dict[str, Field]:
        return {name.lower(): field for name, field in self.fields.items()}

    def field(self, name: str, *, wrap: str | None = None) -> Field:
        """Return a field by the name that a caller gave; id is the field with the id.

        wrap: may precede the name, as in "attributes.lastname".

        Raises HubCallRefusedError.
        """
        bare = name.removeprefix(f"{wrap}.") if wrap else name
        if bare == "id" and "id" not in self.fields:
            bare = self.id_field
        field = self.fields.get(bare) or self._by_lower_name.get(bare.lower())
        return field or self.unknown_field(bare)

    def unknown_field(self, name: str) -> Field:
        """Return a field that is not described, if the object may have such. Raises HubCallRefusedError."""
        raise HubCallRefusedError(f"{self.name} has no field “{name[:100]}”")
