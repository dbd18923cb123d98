"""What the sandbox's CRM consists of: objects and their columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from instances.sandbox import crm_rows
from instances.sandbox.crm_rows import Row

ETAG = "@odata.etag"

# Column types by their Dataverse names, and what $filter compares them as (odata.py).
COMPARED_AS = {
    "String": "String", "Memo": "String", "Integer": "Number", "Money": "Number", "Decimal": "Number",
    "Picklist": "Number", "State": "Number", "Boolean": "Boolean", "DateTime": "Instant", "DateOnly": "Date",
    "Uniqueidentifier": "Guid", "Lookup": "Guid",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """targets: the objects that a lookup refers to. choices: of a picklist, by value."""

    name: str
    type: str
    targets: tuple[str, ...] = ()
    choices: Mapping[int, str] | None = None
    is_required: bool = False
    is_read_only: bool = False

    @property
    def stored_as(self) -> str:
        """The property of a row that holds the value."""
        return f"_{self.name}_value" if self.targets else self.name

    def navigation_property(self, target: str) -> str:
        """The property that binds a lookup to a record of the target."""
        return self.name if len(self.targets) == 1 else f"{self.name}_{target}"


@dataclass(frozen=True)
class Entity:
    """One object.

    make: the rows that are there from the start. union_of: the objects whose records it shows; it has none of its own.
    """

    name: str
    set_name: str
    id_column: str
    label: str
    columns: tuple[Column, ...]
    make: Callable[[], list[Row]]
    union_of: tuple[str, ...] = ()

    @property
    def is_read_only(self) -> bool:
        return bool(self.union_of)

    @cached_property
    def by_property(self) -> dict[str, Column]:
        return {column.stored_as: column for column in self.columns}

    @cached_property
    def compared_as(self) -> dict[str, str]:
        return {name: COMPARED_AS[column.type] for name, column in self.by_property.items()}

    @cached_property
    def bindings(self) -> dict[str, tuple[Column, str]]:
        """Navigation properties, each with its lookup and the object that it refers to."""
        return {
            column.navigation_property(target): (column, target)
            for column in self.columns
            for target in column.targets
        }

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The rows from the start, by id. Do not change them."""
        return {row[self.id_column]: self.empty | row for row in self.make()}

    @property
    def empty(self) -> Row:
        return {ETAG: 'W/"1"', **dict.fromkeys(self.by_property)}


_STAMPS = (
    Column("createdon", "DateTime", is_read_only=True),
    Column("modifiedon", "DateTime", is_read_only=True),
)
_STATE = Column("statecode", "State", choices={0: "Active", 1: "Inactive"})
_CUSTOMER = ("account", "contact")


def _key(name: str) -> Column:
    return Column(name, "Uniqueidentifier", is_read_only=True)


def _columns(key: str, texts: str, *others: Column) -> tuple[Column, ...]:
    strings = [
        Column(name.rstrip("!"), "String", is_required=name.endswith("!")) for name in texts.split()
    ]
    return (_key(key), *strings, *others, *_STAMPS)


@cache
def entities() -> tuple[Entity, ...]:
    """Return all objects."""
    activity = _columns(
        "activityid", "subject", _STATE, Column("scheduledend", "DateTime"), Column("actualstart", "DateTime"),
        Column("regardingobjectid", "Lookup", (*_CUSTOMER, "opportunity")),
    )  # fmt: skip
    return (
        Entity("account", "accounts", "accountid", "Account", _columns(
            "accountid", "name! address1_city telephone1", _STATE, Column("revenue", "Money"),
            Column("numberofemployees", "Integer"), Column("description", "Memo"),
            Column("primarycontactid", "Lookup", ("contact",)),
        ), crm_rows.accounts),
        Entity("contact", "contacts", "contactid", "Contact", _columns(
            "contactid", "firstname lastname fullname jobtitle emailaddress1 telephone1 address1_city", _STATE,
            Column("birthdate", "DateOnly"), Column("donotemail", "Boolean"), Column("numberofchildren", "Integer"),
            Column("creditlimit", "Money"), Column("lastusedincampaign", "DateTime"), Column("description", "Memo"),
            Column("preferredcontactmethodcode", "Picklist", choices={1: "Any", 2: "Email", 3: "Phone", 4: "Fax", 5: "Mail"}),
            Column("parentcustomerid", "Lookup", _CUSTOMER), Column("new_loyaltynumber", "String"),
        ), crm_rows.contacts),
        Entity("lead", "leads", "leadid", "Lead", _columns(
            "leadid", "subject! fullname companyname emailaddress1", _STATE,
            Column("leadqualitycode", "Picklist", choices={1: "Hot", 2: "Warm", 3: "Cold"}),
        ), crm_rows.leads),
        Entity("opportunity", "opportunities", "opportunityid", "Opportunity", _columns(
            "opportunityid", "name!", _STATE, Column("estimatedvalue", "Money"), Column("estimatedclosedate", "DateOnly"),
            Column("closeprobability", "Integer"), Column("parentaccountid", "Lookup", ("account",)),
        ), crm_rows.opportunities),
        Entity("product", "products", "productid", "Product", _columns(
            "productid", "name! productnumber", _STATE, Column("price", "Money"),
        ), crm_rows.products),
        Entity("task", "tasks", "activityid", "Task", activity, crm_rows.tasks),
        Entity("activitypointer", "activitypointers", "activityid", "Activity", activity, list, union_of=("task", "phonecall")),
        Entity("phonecall", "phonecalls", "activityid", "Phone call", activity, crm_rows.calls),
        Entity("list", "lists", "listid", "Marketing list", _columns("listid", "listname!", _STATE), crm_rows.lists),
        Entity("knowledgearticle", "knowledgearticles", "knowledgearticleid", "Knowledge article", _columns(
            "knowledgearticleid", "title! content", _STATE,
        ), crm_rows.articles),
        Entity("incident", "incidents", "incidentid", "Case", _columns(
            "incidentid", "title!", _STATE, Column("customerid", "Lookup", _CUSTOMER),
        ), crm_rows.cases),
        Entity("annotation", "annotations", "annotationid", "Note", _columns(
            "annotationid", "subject notetext", Column("objectid", "Lookup", (*_CUSTOMER, "opportunity")),
        ), crm_rows.notes),
        Entity("systemuser", "systemusers", "systemuserid", "User", _columns(
            "systemuserid", "fullname internalemailaddress", Column("isdisabled", "Boolean"),
        ), crm_rows.users),
    )  # fmt: skip


@cache
def entity_sets() -> dict[str, Entity]:
    return {entity.set_name: entity for entity in entities()}


@cache
def entity_names() -> dict[str, Entity]:
    return {entity.name: entity for entity in entities()}
