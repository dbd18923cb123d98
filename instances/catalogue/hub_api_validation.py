"""Validate what element files say about hub calls (hub_api.py)."""

import re
from collections.abc import Iterator

from instances.catalogue.hub_api import (
    RESERVED_NAMES,
    ChildResource,
    HubApi,
    HubResource,
    Paging,
    Sorting,
)

# A place in the file, such as `paging.next_at`, and a message.
type Problem = tuple[str, str]

_RESOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_$.\[\]-]+")
_PLACE = re.compile(r"[^.\s]+(\.[^.\s]+)*")
# By style: the keys that it needs, and the others that it understands.
_PAGING_KEYS = {
    "next_link": ({"next_at"}, {"size_parameter"}),
    "link_header": (set(), {"size_parameter"}),
    "cursor": ({"next_at", "parameter"}, {"size_parameter", "more_at"}),
    "page": ({"parameter", "size_parameter"}, {"first", "more_at"}),
    "offset": ({"parameter", "size_parameter"}, {"more_at"}),
}
_STYLED_KEYS = ("parameter", "first", "size_parameter", "next_at", "more_at")
# What only the engine of vendor rest reads.
_REST_KEYS = ("item_at", "body_at", "select", "sorting")
_REST_RESOURCE_KEYS = ("list_at", "item_at", "body_at", "query", "fields", "filters", "sortable")
_CHILD_PATH = re.compile(r"[A-Za-z0-9._~-]+(?:/(?:[A-Za-z0-9._~-]+|\{parent\}))*/?")
_NEEDS_REST = "only applies to vendor rest. Omit it."


def problems_of_hub_api(api: HubApi) -> Iterator[Problem]:
    """Yield every problem of a description."""
    if api.vendor == "rest":
        yield from _problems_of_rest(api)
    else:
        yield from _problems_of_family(api)
    if "{path}" not in api.record or "{id}" not in api.record:
        yield "record", "must contain {path} and {id}."
    for name in api.resources:
        if not _RESOURCE_NAME.fullmatch(name) or name in RESERVED_NAMES:
            yield f"resources.{name}", "cannot be the name of a resource."
    for pair, child in api.children.items():
        parent = pair.partition("/")[0]
        is_parent = parent in api.resources or (parent == "*" and api.any_object)
        if not re.fullmatch("[^/]+/[^/]+", pair) or not is_parent:
            yield f"children.{pair}", "must be a resource and the name of its child, as in a/b."
        if child.resource not in api.resources:
            yield f"children.{pair}", f"{child.resource} is not a resource."
        if bool(child.field) == bool(child.path):
            yield f"children.{pair}", "must have either field or path."


def _problems_of_family(api: HubApi) -> Iterator[Problem]:
    """Check that a family of providers which has code of its own is not described twice."""
    if api.vendor == "dataverse" and not api.paging.next_at:
        yield "paging.next_at", "is missing. Dataverse has no other way to the next page."
    if api.paging.style:
        yield "paging.style", _NEEDS_REST
    for name in _REST_KEYS:
        if getattr(api, name):
            yield name, _NEEDS_REST
    for pair, child in api.children.items():
        if child.path:
            yield f"children.{pair}.path", _NEEDS_REST
    for resource, definition in api.resources.items():
        for name in _REST_RESOURCE_KEYS:
            if getattr(definition, name):
                yield f"resources.{resource}.{name}", _NEEDS_REST


def _problems_of_rest(api: HubApi) -> Iterator[Problem]:
    yield from _problems_of_paging(api.paging)
    if api.sorting:
        yield from _problems_of_sorting(api.sorting)
    for name in ("list_at", "item_at", "total_at", "error_at"):
        if (place := getattr(api, name)) and not _PLACE.fullmatch(place):
            yield name, 'must be names with dots between them, such as "data.items".'
    for name in ("wrap", "select", "body_at"):
        if (text := getattr(api, name)) and not _PARAMETER_NAME.fullmatch(text):
            yield name, "must be a single name."
    if api.any_object:
        yield "any_object", "needs a vendor whose objects are known. Omit it."
    if api.dates:
        yield "dates", "needs a vendor whose fields have known types. Omit it."
    for name, resource in api.resources.items():
        for place, why in _problems_of_resource(api, resource):
            yield f"resources.{name}.{place}", why
    for pair, child in api.children.items():
        yield from _problems_of_child(api, pair, child)


def _problems_of_child(api: HubApi, pair: str, child: ChildResource) -> Iterator[Problem]:
    if child.path:
        segments = child.path.split("/")
        has_parent = segments.count("{parent}") == 1
        if not (has_parent and _CHILD_PATH.fullmatch(child.path)) or {".", ".."} & {*segments}:
            yield f"children.{pair}.path", "must be a path below the base URL with {parent} once."
        return
    filters = api.resources[child.resource].filters if child.resource in api.resources else ()
    if not any(one.field == child.field and "=" in one.operators for one in filters):
        yield (
            f"children.{pair}",
            f"{child.field} is not a field that {child.resource} filters by with =.",
        )


def _problems_of_sorting(sorting: Sorting) -> Iterator[Problem]:
    for name in ("parameter", "direction_parameter"):
        value = getattr(sorting, name)
        if (value or name == "parameter") and not _PARAMETER_NAME.fullmatch(value):
            yield f"sorting.{name}", "must be the name of a query parameter."
    if sorting.parameter == sorting.direction_parameter:
        yield "sorting.direction_parameter", "is the same as parameter. Omit it."
    for name in ("ascending", "descending"):
        fields = getattr(sorting, name).count("{field}")
        if sorting.direction_parameter and fields:
            yield f"sorting.{name}", "is the value of direction_parameter, so it has no {field}."
        elif not sorting.direction_parameter and fields != 1:
            yield f"sorting.{name}", "must contain {field} once."
    if sorting.ascending == sorting.descending:
        yield "sorting.descending", "is the same as ascending. State the other direction."
    if sorting.direction_parameter and sorting.separator:
        yield "sorting.separator", "does not apply with direction_parameter. Omit it."


def _problems_of_paging(paging: Paging) -> Iterator[Problem]:
    if paging.style is None:
        yield "paging.style", f"is missing. Use one of: {', '.join(_PAGING_KEYS)}."
        return
    needed, understood = _PAGING_KEYS[paging.style]
    for name in _STYLED_KEYS:
        value = getattr(paging, name)
        is_stated = value != Paging.model_fields[name].default
        if name in needed and not value:
            yield f"paging.{name}", f"is missing. Style {paging.style} needs it."
        elif is_stated and name not in needed | understood:
            yield f"paging.{name}", f"does not apply to style {paging.style}. Omit it."
        elif name.endswith("parameter") and value and not _PARAMETER_NAME.fullmatch(value):
            yield f"paging.{name}", "must be the name of a query parameter."
        elif name.endswith("_at") and value and not _PLACE.fullmatch(value):
            yield f"paging.{name}", 'must be names with dots between them, such as "paging.next".'
    if paging.parameter and paging.parameter == paging.size_parameter:
        yield "paging.size_parameter", "is the same as parameter. Name the other one."
    if paging.size_header:
        yield "paging.size_header", "only applies to vendor dataverse. Use size_parameter."
    if paging.total_max is not None:
        yield "paging.total_max", "only applies to vendor dataverse. Omit it."


def _problems_of_resource(api: HubApi, resource: HubResource) -> Iterator[Problem]:
    sorting = api.sorting
    own = {api.paging.parameter, api.paging.size_parameter, api.select}
    own = (own | ({sorting.parameter, sorting.direction_parameter} if sorting else set())) - {""}
    if resource.sortable and not sorting:
        yield "sortable", "needs sorting, which says how an order is asked for."
    for name in resource.sortable:
        if not _FIELD_NAME.fullmatch(name):
            yield "sortable", f"{name} cannot be the name of a field."
    for name in resource.query:
        if name in own:
            yield f"query.{name}", "is set by the program itself. Omit it."
    for name in resource.fields:
        if not _FIELD_NAME.fullmatch(name):
            yield "fields", f"{name} cannot be the name of a field."
    taken = own | {*resource.query}
    conditions: set[tuple[str, str]] = set()
    for index, one in enumerate(resource.filters):
        place = f"filters[{index}]"
        if not _FIELD_NAME.fullmatch(one.field):
            yield f"{place}.field", f"{one.field} cannot be the name of a field."
        if not one.operators:
            yield f"{place}.operators", "must not be empty."
        for operator in one.operators:
            if (one.field, operator) in conditions:
                yield f"{place}.operators", f"{one.field} {operator} is stated twice. Keep one."
            conditions.add((one.field, operator))
        if not _PARAMETER_NAME.fullmatch(one.parameter):
            yield f"{place}.parameter", f"{one.parameter} cannot be the name of a query parameter."
        if one.parameter in taken:
            yield f"{place}.parameter", f"{one.parameter} has another use already. Keep one."
        taken = taken | {one.parameter}
