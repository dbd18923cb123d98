"""What stands in the path and the query of the API's operations. An empty parameter counts as not given (contract 1)."""

from typing import Annotated, Any

from ninja.params.functions import Path
from pydantic import Field, model_validator

from instances.wire import Document

KeyOrId = Annotated[
    str, Path(description="An element's key, or its number", example="dynamicscrmadfs")
]


class Parameters(Document):
    """Query parameters of an operation; unknown ones are ignored."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty_ones(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if value != ""}


class Page(Parameters):
    """Which page of a list (contract 4)."""

    page_size: int | None = Field(
        None, gt=0, description="Items of a page; 200 at most, and by default"
    )
    next_page: str = Field(
        "", description="`Elements-Next-Page-Token` of the answer that holds the page before"
    )


class InstanceSearch(Page):
    """Which instances (contract 8.2); the conditions narrow each other."""

    tags: list[str] = Field([], description="As `tags[]`")
    tags_in_brackets: list[str] = Field(
        [], alias="tags[]", description="Tags that the instance has, each written whole"
    )
    search_text: str = Field(
        "", description="A part of the instance's name or of its element's key, in any case"
    )
    hydrate: bool = Field(
        True, description="`false`: without configuration, and with a short element"
    )

    @property
    def all_tags(self) -> set[str]:
        return {*self.tags, *self.tags_in_brackets} - {""}


class InstanceChange(Parameters):
    """How an instance is changed (contract 7.6)."""

    re_authenticate: bool = Field(
        True, description="`false`: store the configuration, and do not contact the provider"
    )


class ElementSearch(Page):
    """Which elements (contract 8.1)."""

    where: str = Field(
        "",
        description="Conditions `name = 'value'` or `name in ('a','b')`, joined by AND, on key, hub, name, "
        "private, and abridged",
        json_schema_extra={"example": "hub = 'crm' AND abridged = 'true'"},
    )
    abridged: bool = Field(False, description="`true`: short elements")


class MetadataDetail(Parameters):
    """How much is told of an element (contract 8.1)."""

    expand: bool = Field(False, description="`true`: more of what the element can do")
