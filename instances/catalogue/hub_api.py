"""How hub calls become calls of a provider's API, as data (contract for hubs, 14)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# First segments of paths that are never resources.
RESERVED_NAMES = frozenset({"bulk", "docs", "objects", "ping", "proxy", "query", "uploads"})


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


PagingStyle = Literal["next_link", "link_header", "cursor", "page", "offset"]


class Paging(_Part):
    """How lists are divided into pages.

    style: what leads to the next page (of vendor rest): a URL in the body, a Link header (RFC 8288), a cursor in the
    body, a page number, or the number of records before the page. parameter: carries the last three. first: number of
    the first page. size_parameter, size_header: ask for a number of records ({size}).
    next_at: where a response holds the URL or the cursor of the next page. more_at: where it says whether there is one.
    max: of records in a page. total_max: a provider's total of this number means "or more".
    """

    style: PagingStyle | None = None
    parameter: str = ""
    first: int = Field(1, ge=0)
    size_parameter: str = ""
    size_header: dict[str, str] = {}
    next_at: str = ""
    more_at: str = ""
    max: int = Field(gt=0)
    total_max: int | None = None


class ParameterFilter(_Part):
    """Conditions that a provider takes as a parameter in the query of a list (of vendor rest).

    IN sends its values with commas between them. type: how the value is checked and written.
    """

    field: str
    operators: tuple[Literal["=", "!=", "<", ">", "<=", ">=", "IN"], ...] = ("=",)
    parameter: str
    type: Literal["text", "number", "boolean", "date", "datetime"] = "text"


class Sorting(_Part):
    """How a list is asked for in an order (of vendor rest).

    parameter: carries the field. ascending, descending: its value, with {field}; or the values of direction_parameter, if
    the direction has one of its own. separator: between several fields; empty if there can be only one.
    """

    parameter: str
    direction_parameter: str = ""
    ascending: str
    descending: str
    separator: str = ""


class HubResource(_Part):
    """One resource. path: below the base URL. object: the provider's name of it. id: the field with the id.

    list_at, item_at, body_at: in place of the API's. query: further parameters of lists. fields: which are asked for if a
    caller names none. filters: what lists can be narrowed by. sortable: fields that they can be sorted by, each with its
    name in the parameter. me: which part of the account's identity is the id of the connected user, whose record is
    /{resource}/me.
    """

    path: str
    object: str
    id: str
    list_at: str | None = None
    item_at: str | None = None
    body_at: str | None = None
    query: dict[str, str] = {}
    fields: tuple[str, ...] = ()
    filters: tuple[ParameterFilter, ...] = ()
    sortable: dict[str, str] = {}
    me: str = ""
    create: bool = True
    update: bool = True
    delete: bool = True


class ChildResource(_Part):
    """Records of a resource that belong to another record: field holds its id, or else they lie at a path with {parent}.

    path: of vendor rest, below the base URL.
    """

    resource: str
    field: str = ""
    path: str = ""


class HubApi(_Part):
    """What hub calls of an element become.

    vendor: the family of providers, which decides how fields are described and how conditions are written; rest: neither
    is known but for what this description says.
    list_at, item_at, total_at and error_at are dotted paths in responses; empty: the whole response, or, of the total,
    that there is none. body_at: the key that a body is sent under. wrap: the key that holds the fields of a record in hub
    calls, and with vendor rest at the provider too. select: the parameter that names the fields to send. sorting: none if
    lists have no order that a caller can choose.
    """

    headers: dict[str, str] = {}
    vendor: Literal["dataverse", "salesforce", "rest"]
    list_at: str
    item_at: str = ""
    body_at: str = ""
    total_at: str = ""
    error_at: str
    record: str = "{path}/{id}"
    wrap: str | None = None
    select: str = ""
    sorting: Sorting | None = None
    dates: Literal["milliseconds"] | None = None
    paging: Paging
    create: Write
    update: Write
    # Whether every object of the provider is a resource under its own name.
    any_object: bool = False
    resources: dict[str, HubResource]
    # By "parent/child"; the parent "*" is any object.
    children: dict[str, ChildResource] = {}

    def place(self, name: Literal["list_at", "item_at", "body_at"], resource: str) -> str:
        """Return where something stands in a body: as the resource says, or else as the API says."""
        own: str | None = getattr(self.resources.get(resource), name, None)
        general: str = getattr(self, name)
        return general if own is None else own
