"""What is wrong with the resources of a definition, each problem with its place in the file."""

import re
from pathlib import Path
from typing import Any

import pytest

from instances.catalogue.hub_api import (
    ChildResource,
    HubApi,
    HubResource,
    Paging,
    ParameterFilter,
    Sorting,
    Write,
)
from instances.catalogue.loading import load_element
from instances.errors import CatalogueError
from tests.catalogue.test_validation import BASIC, problems

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "add-resources.md"
ELEMENT = """
key = "acme"
id = 2000001
name = "Acme"
hub = "crm"
description = "Connects an Acme account."
[[authentication]]
type = "basic"
fields = [{ key = "username", label = "User name" }]
"""

HUB_API: dict[str, Any] = {
    "vendor": "dataverse",
    "list_at": "value",
    "total_at": "count",
    "error_at": "error",
    "paging": {"next_at": "next", "max": 10},
    "create": {"method": "POST"},
    "update": {"method": "PATCH"},
    "resources": {"contacts": {"path": "contacts", "object": "contact", "id": "contactid"}},
}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"paging": {"max": 10}}, "hub_api.paging.next_at"),
        ({"record": "{path}/1"}, "hub_api.record"),
        (
            {"resources": {"ping": HUB_API["resources"]["contacts"]}},
            "hub_api.resources.ping",
        ),
        (
            {"children": {"contacts/notes": {"resource": "notes", "field": "x"}}},
            "hub_api.children.contacts/notes",
        ),
        (
            {"children": {"notes": {"resource": "contacts", "field": "x"}}},
            "hub_api.children.notes",
        ),
        # Any object has it, but this element has no other objects.
        (
            {"children": {"*/notes": {"resource": "contacts", "field": "x"}}},
            "hub_api.children.*/notes",
        ),
    ],
)
def test_resources_have_names_that_can_be_called(change, place):
    assert problems(BASIC, hub_api=HUB_API) == {}
    assert place in problems(BASIC, hub_api=HUB_API | change)


CURSOR = {"style": "cursor", "parameter": "after", "next_at": "next", "max": 10}
CONTACTS = {"path": "contacts", "object": "contact", "id": "id"}
REST: dict[str, Any] = HUB_API | {
    "vendor": "rest",
    "paging": CURSOR,
    "resources": {"contacts": CONTACTS},
}
IS_STATED_TWICE = {"field": "a", "parameter": "b", "operators": ["=", "="]}


SORTING = {"parameter": "sort", "ascending": "{field}", "descending": "-{field}"}
DIRECTED = SORTING | {"direction_parameter": "way", "ascending": "asc", "descending": "desc"}


def child(**how: str) -> dict[str, Any]:
    return {"contacts/contacts": {"resource": "contacts"} | how}


def with_filters(*filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resources": {"contacts": CONTACTS | {"filters": filters} | more}}


@pytest.mark.parametrize(
    ("change", "place", "why"),
    [
        ({"paging": {"max": 10}}, "paging.style", "is missing. Use one of: next_link, link_header"),
        (
            {"paging": CURSOR | {"next_at": ""}},
            "paging.next_at",
            "is missing. Style cursor needs it",
        ),
        ({"paging": CURSOR | {"parameter": ""}}, "paging.parameter", "is missing. Style cursor"),
        ({"paging": CURSOR | {"first": 0}}, "paging.first", "does not apply to style cursor"),
        ({"paging": CURSOR | {"style": "page"}}, "paging.size_parameter", "is missing. Style page"),
        (
            {"paging": CURSOR | {"style": "offset"}},
            "paging.next_at",
            "does not apply to style offset",
        ),
        (
            {"paging": CURSOR | {"style": "link_header"}},
            "paging.parameter",
            "does not apply to style",
        ),
        (
            {"paging": CURSOR | {"style": "next_link"}},
            "paging.parameter",
            "does not apply to style",
        ),
        ({"paging": CURSOR | {"parameter": "a&b"}}, "paging.parameter", "must be the name of"),
        ({"paging": CURSOR | {"next_at": "a b"}}, "paging.next_at", "must be names with dots"),
        ({"paging": CURSOR | {"size_parameter": "after"}}, "paging.size_parameter", "is the same"),
        ({"paging": CURSOR | {"size_header": {"A": "1"}}}, "paging.size_header", "only applies to"),
        ({"paging": CURSOR | {"total_max": 5}}, "paging.total_max", "only applies to vendor"),
        ({"list_at": "a..b"}, "list_at", "must be names with dots"),
        ({"select": "a,b"}, "select", "must be a single name"),
        ({"sorting": SORTING | {"parameter": "a&b"}}, "sorting.parameter", "must be the name of"),
        (
            {"sorting": SORTING | {"ascending": "x"}},
            "sorting.ascending",
            "must contain {field} once",
        ),
        ({"sorting": SORTING | {"descending": "{field}"}}, "sorting.descending", "is the same as"),
        (
            {"sorting": SORTING | {"direction_parameter": "way"}},
            "sorting.ascending",
            "is the value of direction_parameter",
        ),
        (
            {"sorting": DIRECTED | {"direction_parameter": "sort"}},
            "sorting.direction_parameter",
            "is the same as parameter",
        ),
        ({"sorting": DIRECTED | {"separator": ","}}, "sorting.separator", "does not apply with"),
        (
            with_filters(sortable={"a": "a"}),
            "resources.contacts.sortable",
            "needs sorting",
        ),
        (
            with_filters(sortable={"a b": "a"}),
            "resources.contacts.sortable",
            "a b cannot be the name",
        ),
        (
            with_filters({"field": "a", "parameter": "sort"}) | {"sorting": SORTING},
            "resources.contacts.filters[0].parameter",
            "sort has another use",
        ),
        # Where calls that bring a file are answered.
        (
            {"resources": {"uploads": {"object": "upload", "path": "uploads", "id": "id"}}},
            "resources.uploads",
            "cannot be the name of a resource",
        ),
        ({"children": child()}, "children.contacts/contacts", "must have either field or path"),
        (
            {"children": child(field="a", path="a/{parent}")},
            "children.contacts/contacts",
            "must have either field or path",
        ),
        *(
            (
                {"children": child(path=path)},
                "children.contacts/contacts.path",
                "must be a path below the base URL with {parent} once",
            )
            for path in ("a", "/a/{parent}", "a/x{parent}", "a/{parent}/{parent}", "a/../{parent}")
        ),
        ({"any_object": True}, "any_object", "needs a vendor whose objects are known"),
        ({"dates": "milliseconds"}, "dates", "needs a vendor whose fields"),
        (
            {"children": {"contacts/contacts": {"resource": "contacts", "field": "a"}}},
            "children.contacts/contacts",
            "a is not a field that contacts filters by",
        ),
        (
            with_filters({"field": "a b", "parameter": "a"}),
            "resources.contacts.filters[0].field",
            "a b cannot be",
        ),
        (
            with_filters({"field": "a", "parameter": "a=1&b"}),
            "resources.contacts.filters[0].parameter",
            "a=1&b cannot be",
        ),
        (
            with_filters({"field": "a", "parameter": "after"}),
            "resources.contacts.filters[0].parameter",
            "after has another use",
        ),
        (
            with_filters({"field": "a", "parameter": "a", "operators": []}),
            "resources.contacts.filters[0].operators",
            "must not be empty",
        ),
        (
            with_filters(IS_STATED_TWICE),
            "resources.contacts.filters[0].operators",
            "a = is stated twice",
        ),
        (with_filters(fields=["a,b"]), "resources.contacts.fields", "a,b cannot be the name"),
        (
            with_filters(query={"after": "x"}),
            "resources.contacts.query.after",
            "is set by the program",
        ),
        ({"vendor": "salesforce"}, "paging.style", "only applies to vendor rest"),
        ({"vendor": "salesforce", "body_at": "x"}, "body_at", "only applies to vendor rest"),
        (
            {"vendor": "salesforce"} | with_filters({"field": "a", "parameter": "a"}),
            "resources.contacts.filters",
            "only applies to vendor rest",
        ),
    ],
)
def test_each_mistake_of_a_described_provider_names_its_place(change, place, why):
    assert problems(BASIC, hub_api=REST) == {}
    assert problems(BASIC, hub_api=REST | change)[f"hub_api.{place}"].startswith(why)


def test_the_example_of_the_guide_can_be_loaded_and_a_mistake_names_the_file(tmp_path):
    [example] = re.findall(r"```toml\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    path = tmp_path / "acme.toml"
    path.write_text(ELEMENT + example)
    api = load_element(path).hub_api
    assert api is not None
    assert api.paging.style == "cursor"
    assert api.resources["contacts"].filters[1].parameter == "updated_since"
    path.write_text(ELEMENT + example.replace("parameter", "perameter", 1))
    with pytest.raises(
        CatalogueError, match=r"^acme\.toml: hub_api\.paging\.perameter: unknown key"
    ):
        load_element(path)
    path.write_text(ELEMENT + example.replace('style = "cursor"', 'style = "page"'))
    with pytest.raises(
        CatalogueError, match=r"acme\.toml: hub_api\.paging\.next_at: does not apply"
    ):
        load_element(path)


@pytest.mark.parametrize(
    "part", [HubApi, Paging, Sorting, Write, HubResource, ParameterFilter, ChildResource]
)
def test_the_guide_explains_every_key(part):
    guide = HOWTO.read_text()
    assert [name for name in part.model_fields if f"`{name}`" not in guide] == []
