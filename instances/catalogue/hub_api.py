"""How hub calls become calls of a provider's API, as data (contract for hubs, 14)."""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_RESOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# First segments of paths that are never resources.
RESERVED_NAMES = frozenset({"bulk", "docs", "objects", "ping", "proxy"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Write(_Part):
    """How records are created or updated.

    answers: what the provider responds with. Unless it is the record, the record is read afterwards. id_at: where the
    response holds the id of a new record.
    """

    method: Literal["POST", "PATCH", "PUT"]
    headers: dict[str, str] = {}
    answers: Literal["record", "id", "nothing"] = "record"
    id_at: str = "id"


class Paging(_Part):
    """How lists are divided into pages.

    next_at: where a response holds the URL of the next page. size_header: asks for {size} records. max: of records in a
    page. total_max: a provider's total of this number means "or more".
    """

    next_at: str = ""
    size_header: dict[str, str] = {}
    max: int = Field(gt=0)
    total_max: int | None = None


class HubResource(_Part):
    """One resource. path: below the base URL. object: the provider's name of it. id: the field with the id."""

    path: str
    object: str
    id: str
    create: bool = True
    update: bool = True
    delete: bool = True


class ChildResource(_Part):
    """Records of a resource that belong to another record: field holds its id."""

    resource: str
    field: str


class HubApi(_Part):
    """What hub calls of an element become.

    vendor: the family of providers, which decides how fields are described and how conditions are written.
    list_at, total_at and error_at are dotted paths in responses. wrap: the key that holds the fields of a record.
    """

    headers: dict[str, str] = {}
    vendor: Literal["dataverse", "salesforce"]
    list_at: str
    total_at: str
    error_at: str
    record: str = "{path}/{id}"
    wrap: Literal["attributes"] | None = None
    dates: Literal["milliseconds"] | None = None
    paging: Paging
    create: Write
    update: Write
    # Whether every object of the provider is a resource under its own name.
    any_object: bool = False
    resources: dict[str, HubResource]
    # By "parent/child".
    children: dict[str, ChildResource] = {}


def problems_of_hub_api(api: HubApi) -> Iterator[tuple[str, str]]:
    """Yield a place in the file and a message for each problem."""
    if api.vendor == "dataverse" and not api.paging.next_at:
        yield "paging.next_at", "is missing. Dataverse has no other way to the next page."
    if "{path}" not in api.record or "{id}" not in api.record:
        yield "record", "must contain {path} and {id}."
    for name in api.resources:
        if not _RESOURCE_NAME.fullmatch(name) or name in RESERVED_NAMES:
            yield f"resources.{name}", "cannot be the name of a resource."
    for pair, child in api.children.items():
        parent = pair.partition("/")[0]
        if not re.fullmatch("[^/]+/[^/]+", pair) or parent not in api.resources:
            yield f"children.{pair}", "must be a resource and the name of its child, as in a/b."
        if child.resource not in api.resources:
            yield f"children.{pair}", f"{child.resource} is not a resource."
