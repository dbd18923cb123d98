"""Path and query parameters of the API.

An empty query parameter counts as absent (contract 1).
"""

from typing import Annotated, Any

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
