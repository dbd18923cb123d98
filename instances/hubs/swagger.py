"""Swagger 2.0 documents of hub calls, so that tools can list resources and call them (contract for hubs, 2)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from instances.catalogue.definition import ElementDefinition
from instances.catalogue.hub_api import HubApi
from instances.hubs.fields import FieldType, ObjectMetadata

BASE_PATH = "/elements/api-v2"
_STATUSES = {
    "400": "Bad request",
    "401": "Unauthorized - Invalid or missing Authorization header",
    "403": "Forbidden - Access to the resource by the provider is forbidden",
    "404": "Not found - The requested resource is not found",
    "405": "Method not allowed",
    "406": "Not acceptable - The requested response format is not supported",
    "409": "Conflict",
    "415": "Unsupported media type",
    "429": "Too many requests - Retry after the seconds in Retry-After",
    "502": "Provider server error - Something went wrong on the Provider or Endpoint's server",
}
_LIST_PARAMETERS = {
    "where": "A condition in CEQL, such as name = 'Acme'",
    "fields": "Names of fields, separated by commas; the id always comes",
    "orderBy": "Names of fields, each with asc or desc, separated by commas",
    "nextPage": "The elements-next-page-token header of the response with the previous page",
}
_NUMBERS = {
    "pageSize": "Records per page. Defaults to 200 if not provided",
    "page": "Number of the page, from 1",
}
_TYPES: dict[FieldType, dict[str, str]] = {
    FieldType.NUMBER: {"type": "number"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.DATETIME: {"type": "string", "format": "date-time"},
    FieldType.OTHER: {},
}
_MILLISECONDS = {"type": "integer", "format": "int64"}

type Operation = dict[str, Any]
type Paths = dict[str, dict[str, Operation]]


def paths_of(definition: ElementDefinition) -> Paths:
    """Return the operations of an element's resources, by path and method."""
    api = definition.hub_api
    if api is None:
        return {}
    paths: Paths = {}
    for path, method, operation in _operations(api):
        paths.setdefault(path, {})[method] = operation
    return paths


def paths_of_hub(definitions: Iterable[ElementDefinition]) -> Paths:
    """Return the operations that elements of a hub have, with the parameters that any of them understands."""
    general = _LIST_PARAMETERS | _NUMBERS
    paths: Paths = {}
    for definition in definitions:
        for path, operations in paths_of(definition).items():
            for method, operation in operations.items():
                known = paths.setdefault(path, {}).setdefault(method, operation)
                parameters = {one["name"]: one for one in known["parameters"]}
                for one in operation["parameters"]:
                    name = one["name"]
                    # Maxima and conditions differ between elements.
                    text = {"description": general[name]} if name in general else {}
                    parameters[name] = one | text
                known["parameters"] = [*parameters.values()]
    return paths


def definitions_of_hub(definitions: Iterable[ElementDefinition]) -> dict[str, Any]:
    """Return the models of a hub's records. Their fields differ between elements."""
    apis = [definition.hub_api for definition in definitions if definition.hub_api]
    return {model_name(name): _model_of({}) for api in apis for name in api.resources}


def paths_of_resource(api: HubApi, name: str) -> Paths:
    """Return the operations of one resource, or of any other object of the provider."""
    paths: Paths = {}
    for path, method, operation in _resource_operations(api, name):
        paths.setdefault(path, {})[method] = operation
    return paths


def only_operation(paths: Paths, operation_id: str) -> Paths:
    """Return the paths with this one operation; empty if there is none."""
    return {
        path: {method: operation}
        for path, operations in paths.items()
        for method, operation in operations.items()
        if operation["operationId"] == operation_id
    }


def definitions_of(
    definition: ElementDefinition, metadata: Mapping[str, ObjectMetadata] | None = None
) -> dict[str, Any]:
    """Return the models of the records. metadata: of the resources whose fields are to be named."""
    api = definition.hub_api
    if api is None:
        return {}
    names = [*api.resources, *(metadata or {})]
    return {
        model_name(name): _model(api, (metadata or {}).get(name)) for name in dict.fromkeys(names)
    }


def model_name(resource: str) -> str:
    """Return the name of a resource in models and operation ids, such as KnowledgeArticles."""
    return "".join(part[:1].upper() + part[1:] for part in resource.replace("_", "-").split("-"))


def _operations(api: HubApi) -> Iterator[tuple[str, str, Operation]]:
    yield "/ping", "get", _operation("ping", "Ping the element", "ping", {"type": "object"})
    names = {"type": "array", "items": {"type": "string"}}
    yield "/objects", "get", _operation("getObjects", "List all objects", "objects", names)
    if api.vendor == "salesforce":
        yield "/query", "get", _query_operation()
    for name in api.resources:
        yield from _resource_operations(api, name)
    for pair, child in api.children.items():
        yield from _child_operations(api, pair.replace("*", "{objectName}"), child.resource)
    summary = "Describe the fields of an object"
    operation = _operation("getObjectsByObjectNameMetadata", summary, "objects", {"type": "object"})
    operation["parameters"].append(_path_parameter("objectName"))
    yield "/objects/{objectName}/metadata", "get", operation


def _query_operation() -> Operation:
    parameters = [
        _query_parameter("q", "A query in SOQL") | {"required": True},
        _query_parameter("pageSize", _NUMBERS["pageSize"], kind="integer"),
        _query_parameter("nextPage", _LIST_PARAMETERS["nextPage"]),
    ]
    records = _list_of({"type": "object"})
    return _operation("getQuery", "Run a query in SOQL", "query", records, parameters)


def _resource_operations(api: HubApi, name: str) -> Iterator[tuple[str, str, Operation]]:
    resource, model = api.resources.get(name), model_name(name)
    record, body = {"$ref": f"#/definitions/{model}"}, _body_parameter(model)
    operation = _operation(f"get{model}", f"List {name}", name, _list_of(record))
    operation["parameters"] += _list_parameters(api, name)
    yield f"/{name}", "get", operation
    if resource is None or resource.create:
        yield (
            f"/{name}",
            "post",
            _operation(f"create{model}", f"Create {name}", name, record, [body]),
        )
    path, record_id = f"/{name}/{{id}}", _path_parameter("id")
    fields = _query_parameter("fields", _LIST_PARAMETERS["fields"])
    operation = _operation(
        f"get{model}ById", f"Get one of {name}", name, record, [record_id, fields]
    )
    yield path, "get", operation
    if resource is None or resource.update:
        for method, verb in (("patch", "update"), ("put", "replace")):
            summary = f"Change one of {name}"
            yield (
                path,
                method,
                _operation(f"{verb}{model}ById", summary, name, record, [record_id, body]),
            )
    if resource is None or resource.delete:
        operation = _operation(
            f"delete{model}ById", f"Delete one of {name}", name, None, [record_id]
        )
        yield path, "delete", operation


def _child_operations(
    api: HubApi, pair: str, resource: str
) -> Iterator[tuple[str, str, Operation]]:
    parent, child = pair.split("/")
    is_any = parent == "{objectName}"
    parameters = [_path_parameter("objectName")] if is_any else []
    tag = "objects" if is_any else parent
    model, both = (
        model_name(resource),
        model_name("ObjectName" if is_any else parent) + model_name(child),
    )
    record, parent_id = {"$ref": f"#/definitions/{model}"}, _path_parameter("id")
    path = f"/{parent}/{{id}}/{child}"
    summary = f"List {child} of one of {parent}"
    parameters.append(parent_id)
    operation = _operation(f"get{both}", summary, tag, _list_of(record), parameters)
    operation["parameters"] += _list_parameters(api, resource)
    yield path, "get", operation
    if api.resources[resource].create:
        parameters = [*parameters, _body_parameter(model)]
        summary = f"Create {child} of one of {parent}"
        yield path, "post", _operation(f"create{both}", summary, tag, record, parameters)


def _operation(
    operation_id: str,
    summary: str,
    tag: str,
    schema: Mapping[str, Any] | None,
    parameters: Collection[Operation] = (),
) -> Operation:
    success = {"description": "OK"} | ({"schema": schema} if schema else {})
    errors = {status: {"description": text} for status, text in _STATUSES.items()}
    return {
        "operationId": operation_id,
        "summary": summary,
        "tags": [tag],
        "parameters": [*parameters],
        "responses": {"200": success, **errors},
    }


def _list_parameters(api: HubApi, name: str) -> list[Operation]:
    texts = [
        _query_parameter(parameter, text) for parameter, text in _list_texts(api, name).items()
    ]
    numbers = [
        _query_parameter(name, f"{text}. Maximum {api.paging.max}", kind="integer")
        if name == "pageSize"
        else _query_parameter(name, text, kind="integer")
        for name, text in _NUMBERS.items()
    ]
    count = "true: the header elements-total-count has the number of all records"
    total = [_query_parameter("returnCount", count, kind="boolean")] if api.total_at else []
    return [*texts, *numbers, *total]


def _list_texts(api: HubApi, name: str) -> dict[str, str]:
    """Return the parameters of a list that the element understands, with their descriptions."""
    if api.vendor != "rest":
        return _LIST_PARAMETERS
    conditions = [
        f"{one.field} {operator}"
        for one in api.resources[name].filters
        for operator in one.operators
    ]
    where = f"Conditions in CEQL, joined by AND, with: {', '.join(conditions)}"
    sortable = api.resources[name].sortable
    count = "Names of fields" if api.sorting and api.sorting.separator else "The name of one field"
    order = f"{count}, with asc or desc: {', '.join(sortable)}"
    own = {"where": where if conditions else "", "orderBy": order if sortable else ""}
    return {key: text for key, text in (_LIST_PARAMETERS | own).items() if text}


def _query_parameter(name: str, description: str, *, kind: str = "string") -> Operation:
    return {
        "name": name,
        "in": "query",
        "type": kind,
        "required": False,
        "description": description,
    }


def _path_parameter(name: str) -> Operation:
    return {"name": name, "in": "path", "type": "string", "required": True}


def _body_parameter(model: str) -> Operation:
    return {
        "name": "body",
        "in": "body",
        "required": True,
        "schema": {"$ref": f"#/definitions/{model}"},
    }


def _list_of(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": record}


def _model(api: HubApi, metadata: ObjectMetadata | None) -> dict[str, Any]:
    fields = {
        field.name: (_MILLISECONDS if field.type == FieldType.DATETIME and api.dates else None)
        or _TYPES.get(field.type, {"type": "string"})
        for field in (metadata.fields.values() if metadata else ())
    }
    if api.wrap:
        inner = {"type": "object"} | ({"properties": fields} if fields else {})
        return _model_of({api.wrap: inner})
    return _model_of(fields)


def _model_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"id": {"type": "string"}, **properties}}
