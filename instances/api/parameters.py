"""Path and query parameters of the API.

An empty query parameter counts as absent (contract 1).
"""

import re
from typing import Annotated, Any

from django.http import QueryDict
from ninja.params.functions import Path
from pydantic import Field, model_validator

from instances.wire import Document

KeyOrId = Annotated[str, Path(description="Key or id of an element", example="dynamicscrmadfs")]


class Parameters(Document):
    """Base of query parameters. Unknown ones are ignored."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty_ones(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if value != ""}

    @property
    def given(self) -> dict[str, str]:
        """The parameters of a hub call, which are all texts."""
        return self.model_dump(by_alias=True)


class Page(Parameters):
    """Which page of a list (contract 4)."""

    page_size: int | None = Field(
        None, gt=0, description="Items per page. Default and maximum: 200"
    )
    next_page: str = Field(
        "", description="`Elements-Next-Page-Token` from the response with the previous page"
    )


class InstanceSearch(Page):
    """Which instances (contract 8.2). An instance must meet all conditions."""

    tags: list[str] = Field([], description="Same as `tags[]`")
    tags_in_brackets: list[str] = Field(
        [],
        alias="tags[]",
        description="Only instances with this complete tag; repeat it for several tags",
    )
    search_text: str = Field(
        "",
        description="Only instances whose name or element key contains this text, ignoring case",
    )
    hydrate: bool = Field(
        True, description="`false`: omit the configuration, and use the short form of the element"
    )

    @property
    def all_tags(self) -> set[str]:
        return {*self.tags, *self.tags_in_brackets} - {""}


def indexed(query: QueryDict, name: str) -> set[str]:
    """Return the values of `name[0]=a&name[1]=b`, which is how some clients write a list."""
    is_item = re.compile(rf"{re.escape(name)}\[\d+\]").fullmatch
    return {value for key, values in query.lists() if is_item(key) for value in values} - {""}


class InstanceChange(Parameters):
    """How an instance is changed (contract 7.6)."""

    re_authenticate: bool = Field(
        True, description="`false`: store the configuration without contacting the provider"
    )


class ElementSearch(Page):
    """Which elements (contract 8.1)."""

    where: str = Field(
        "",
        description="Conditions like `name = 'value'` or `name in ('a','b')`, joined by AND. Names: key, hub, name, "
        "private and abridged",
        json_schema_extra={"example": "hub = 'crm' AND abridged = 'true'"},
    )
    abridged: bool = Field(False, description="`true`: use the short form of elements")


class MetadataDetail(Parameters):
    """How detailed the metadata of an element is (contract 8.1)."""

    expand: bool = Field(False, description="`true`: include more details")


class SwaggerParameters(Parameters):
    """For whom a Swagger document is (contract for hubs, 2)."""

    base_url: str = Field("", description="Replaces host and scheme of the document")


class ObjectsParameters(Parameters):
    """Which objects (contract for hubs, 2)."""

    getall: bool = Field(False, description="`true`: all objects of the provider")


class MetadataParameters(Parameters):
    """Which fields of an object (contract for hubs, 2.1)."""

    custom_fields_only: bool = Field(False, description="`true`: only custom fields")


class RecordParameters(Parameters):
    """Which fields of a record (contract for hubs, 5)."""

    fields_: str = Field(
        "", alias="fields", description="Names of fields, separated by commas; the id always comes"
    )


class QueryParameters(Parameters):
    """A query in the provider's own language (contract for hubs, 3)."""

    q: str = Field("", description="A query in SOQL", examples=["SELECT Id, Name FROM Account"])
    page_size: str = Field("", description="Records per page. Default: 200")
    next_page: str = Field(
        "", description="`Elements-Next-Page-Token` from the response with the previous page"
    )
    return_count: str = Field("", description="`true`: say how many records there are")


class ListParameters(RecordParameters):
    """Which records, and which of their fields (contract for hubs, 5)."""

    where: str = Field("", description="A condition in CEQL", examples=["lastname LIKE 'de%'"])
    order_by: str = Field("", description="Names of fields, each with `asc` or `desc`")
    page_size: str = Field("", description="Records per page. Default: 200")
    page: str = Field("", description="Number of the page, from 1. Ignored with `nextPage`")
    next_page: str = Field(
        "", description="`Elements-Next-Page-Token` from the response with the previous page"
    )
    return_count: str = Field("", description="`true`: count all records")
