"""Which resource of an element a path names."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import quote

from instances.catalogue.hub_api import HubApi, HubResource
from instances.errors import HubCallRefusedError

# Of a provider's object, as /{objectName} names it.
_OBJECT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_MAX_ID_CHARACTERS = 255
_FORBIDDEN_IN_ID = re.compile(r"[\x00-\x1f\x7f/\\]")


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as the path named it. definition: None for any other object of the provider.

    path: of the records of one parent, where these have a path of their own.
    """

    name: str
    object: str
    definition: HubResource | None
    path: str = ""

    def allows(self, verb: str) -> bool:
        return self.definition is None or bool(getattr(self.definition, verb))


def find_resource(api: HubApi, name: str) -> Resource:
    """Return the resource that a path names. Raises HubCallRefusedError (404)."""
    if definition := api.resources.get(name):
        return Resource(name, definition.object, definition)
    if api.any_object and _OBJECT_NAME.fullmatch(name):
        return Resource(name, name, None)
    raise no_resource(name)


def find_object(api: HubApi, name: str) -> Resource:
    """Return the resource of an object, by its own name or the provider's. Raises HubCallRefusedError (404)."""
    by_object = {resource.object: own for own, resource in api.resources.items()}
    return find_resource(api, name if name in api.resources else by_object.get(name, name))


def find_child(api: HubApi, parent: Resource, parent_id: str, child: str) -> tuple[Resource, str]:
    """Return the resource of a parent's child records, and its field with the parent's id; empty if their path has it.

    Raises HubCallRefusedError: 404, or 400 for an id that cannot be one.
    """
    described = api.children.get(f"{parent.name}/{child}") or api.children.get(f"*/{child}")
    if described is None:
        raise no_resource(f"{parent.name}/{{id}}/{child}")
    resource = find_resource(api, described.resource)
    path = described.path.replace("{parent}", quote(checked_id(parent_id), safe=""))
    return replace(resource, path=path), described.field


def no_resource(name: str) -> HubCallRefusedError:
    return HubCallRefusedError(f"This element has no resource “{name[:100]}”", http_status=404)


def not_allowed(method: str, allowed: Collection[str]) -> HubCallRefusedError:
    message = f"Method {method} is not allowed for this resource; allowed: {', '.join(allowed)}"
    return HubCallRefusedError(message, http_status=405, allowed_methods=allowed)


def checked_id(record_id: str) -> str:
    """Return an id from a path. Raises HubCallRefusedError (400) if it could name something else."""
    is_dots = not record_id.strip(".")
    if is_dots or len(record_id) > _MAX_ID_CHARACTERS or _FORBIDDEN_IN_ID.search(record_id):
        raise HubCallRefusedError("The id of the record is not valid")
    return record_id
