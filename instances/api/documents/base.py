"""What all response documents share, and the errors.

A view returns documents: one class defines both what is sent and what the OpenAPI document describes. A field with a
default always has that value here.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import ConfigDict, Field, PlainSerializer

from instances.wire import Document


def wire_date(at: datetime) -> str:
    """Format as ISO 8601 in UTC with seconds and Z (contract 5)."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


WireDate = Annotated[datetime, PlainSerializer(wire_date, return_type=str)]


def is_none(value: object) -> bool:
    """For fields that are left out instead of sent as null."""
    return value is None


class ResponseDocument(Document):
    """A document that this server sends."""

    model_config = ConfigDict(
        validate_by_name=True,
        validate_by_alias=False,
        json_schema_serialization_defaults_required=True,
    )


class RefusalDocument(ResponseDocument):
    """An error (contract 3)."""

    request_id: Annotated[str, Field(pattern="^[0-9a-f]{24}$")]
    message: Annotated[str, Field(min_length=1)]
    # The provider's own message, if the provider was called.
    provider_message: str | None = Field(None, exclude_if=is_none)
