"""Hub calls: records of an instance, in the same form for all elements (contract for hubs, 1 to 8).

with open_hub(instance, actor="API: ada@example.com") as hub:
    hub.list_records("contacts", {"where": "lastname = 'de Wit'", "pageSize": "10"}).records
    hub.update("contacts", record_id, {"attributes": {"jobtitle": "Buyer"}})
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from instances.catalogue.hub_api import HubApi, Write
from instances.errors import HubCallRefusedError, InvalidCallError, UnusableAnswerError
from instances.hubs.calls import connect, require_usable
from instances.hubs.dataverse import Dataverse
from instances.hubs.fields import FieldType, ObjectMetadata
from instances.hubs.list_query import field_names, list_query
from instances.hubs.metadata_cache import cached
from instances.hubs.page_tokens import PageScope, open_page, seal_page
from instances.hubs.records import Records, queried
from instances.hubs.resources import (
    Resource,
    checked_id,
    find_child,
    find_object,
    find_resource,
    no_resource,
    not_allowed,
)
from instances.hubs.rest import Rest
from instances.hubs.salesforce import Salesforce
from instances.hubs.salesforce_files import DOCUMENT, SalesforceFiles
from instances.hubs.session import Answer, HubSession, value_at
from instances.hubs.values import guid_of
from instances.hubs.vendor import ListPage, Vendor
from instances.models import Element, Instance

# Their ids become part of a URL.
MAX_LINKED_FILES = 200

VENDORS: Mapping[str, Vendor] = {
    "dataverse": Dataverse(),
    "salesforce": Salesforce(),
    "rest": Rest(),
}


@dataclass(frozen=True, slots=True)
class RecordsPage:
    """One page of a list. next_page: empty if it is the last one. total: None if it was not asked for, or is not known."""

    records: list[dict[str, Any]]
    next_page: str
    total: int | None


def hub_api_of(element: Element) -> HubApi:
    """Return what hub calls of an element become. Raises HubCallRefusedError (404) if it has none."""
    api = element.parsed.hub_api
    if api is None:
        raise HubCallRefusedError(
            f"{element.name} has no resources here. Call its own API through /elements/api-v2/proxy",
            http_status=404,
        )
    return api


@contextmanager
def open_hub(instance: Instance, *, actor: str) -> "Iterator[Hub]":
    """Get ready for one hub call. Raises what connect() raises, and HubCallRefusedError (404)."""
    # Before the element is asked what it serves: 403 comes before 404.
    require_usable(instance)
    if instance.organization.is_remote:
        raise InvalidCallError("Hub calls of this instance are answered by its remote platform.")
    api = hub_api_of(instance.element)
    with closing(connect(instance, actor=actor, operation="Hub call")) as connected:
        yield Hub(HubSession(instance, api, connected))


class Hub:
    """The records of one instance.

    Every method raises HubCallRefusedError, InvalidCallError for wrong parameters, and what HubSession.send() raises.
    """

    def __init__(self, session: HubSession) -> None:
        self._session = session
        self._api = session.api
        self._vendor = VENDORS[session.api.vendor]

    @property
    def secrets(self) -> frozenset[str]:
        """Values that no person may be shown."""
        return self._session.secrets

    def list_records(self, name: str, parameters: Mapping[str, str]) -> RecordsPage:
        """Return one page of records. parameters: the query parameters of the call."""
        return self._list(find_resource(self._api, name), parameters)

    def list_children(
        self, name: str, parent_id: str, child: str, parameters: Mapping[str, str]
    ) -> RecordsPage:
        """Return one page of the records that belong to another one."""
        parent = find_resource(self._api, name)
        resource, field = find_child(self._api, parent, parent_id, child)
        self._target(self._metadata(parent), parent_id)
        return self._list(resource, parameters, parent=(field, parent_id) if field else None)

    def _list(
        self,
        resource: Resource,
        parameters: Mapping[str, str],
        parent: tuple[str, str] | None = None,
    ) -> RecordsPage:
        query = list_query(parameters, max_page_size=self._api.paging.max)
        metadata = self._metadata(resource)
        if parent:
            query = query.narrowed(*parent)
        place = f"{resource.name}:{resource.path}" if resource.path else resource.name
        scope = PageScope(self._session.instance, place, query)
        position = open_page(query.next_page, scope) if query.next_page else {}
        page: ListPage = self._vendor.list_page(self._session, metadata, query, position)
        records = self._records(metadata)
        shown = [records.shown(row, query.fields) for row in page.rows]
        return self._shown_page(page, scope, shown)

    def _shown_page(
        self, page: ListPage, scope: PageScope, records: list[dict[str, Any]]
    ) -> RecordsPage:
        return RecordsPage(
            records,
            seal_page(page.next_position, scope) if page.next_position else "",
            page.total if scope.query.is_total_asked else None,
        )

    def query(self, parameters: Mapping[str, str]) -> RecordsPage:
        """Return one page of a query (`q`) in the provider's own language, which only Salesforce has."""
        if not isinstance(self._vendor, Salesforce):
            raise no_resource("query")
        soql = parameters.get("q", "").strip()
        if not soql:
            raise InvalidCallError("q is missing: a query in SOQL")
        query = list_query(parameters, max_page_size=self._api.paging.max)
        # A token is for this query only.
        name = f"query:{hashlib.sha256(soql.encode()).hexdigest()}"
        scope = PageScope(self._session.instance, name, query)
        position = open_page(query.next_page, scope) if query.next_page else {}
        page = self._vendor.query_page(self._session, soql, query.page_size, position)
        return self._shown_page(page, scope, [queried(self._session, row) for row in page.rows])

    @property
    def has_files(self) -> bool:
        return isinstance(self._vendor, Salesforce)

    @property
    def files(self) -> SalesforceFiles:
        """The files of records, which only Salesforce has. Raises HubCallRefusedError (404)."""
        if not self.has_files:
            raise no_resource("files")
        return SalesforceFiles(self._session)

    def link_file(self, name: str, record_id: str, child: str, file_id: str) -> dict[str, Any]:
        """Link a file to a record, and return the link."""
        if not (self.has_files and child == "files"):
            raise not_allowed("POST", ["GET", "PATCH", "PUT", "DELETE"])
        body = {"ContentDocumentId": checked_id(file_id), "ShareType": "V"}
        return self.create_child(name, record_id, child, body)

    def linked_files(self, name: str, record_id: str, parameters: Mapping[str, str]) -> RecordsPage:
        """Return one page of the files that are linked to a record. Of the parameters, those of the page count."""
        kept = {
            key: parameters[key] for key in ("nextPage", "page", "pageSize") if key in parameters
        }
        query = list_query(kept, max_page_size=MAX_LINKED_FILES)
        kept |= {"pageSize": str(query.page_size), "fields": "ContentDocumentId"}
        page = self.list_children(name, record_id, "files", kept)
        ids = [str(row.get("ContentDocumentId")) for row in page.records]
        if not all(one.isascii() and one.isalnum() for one in ids):
            raise UnusableAnswerError(
                f"{self._session.provider} sent a response that could not be understood."
            )
        where = {"where": f"Id IN ({', '.join(ids)})", "pageSize": str(MAX_LINKED_FILES)}
        records = self.list_records(DOCUMENT, where).records if ids else []
        return replace(page, records=records)

    def read(self, name: str, record_id: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return one record. record_id: "me" is the connected user, where the element says who that is."""
        resource = find_resource(self._api, name)
        return self._read(resource, self._own_id(resource, record_id), parameters)

    def _own_id(self, resource: Resource, record_id: str) -> str:
        part = resource.definition.me if resource.definition else ""
        if record_id != "me" or not part:
            return record_id
        user_id = (self._session.instance.account_identity or {}).get(part)
        if not user_id:
            raise HubCallRefusedError(
                f"{self._session.provider} has not said yet which user is connected. Check the instance, then try again",
                http_status=404,
            )
        return str(user_id)

    def read_child(
        self, name: str, parent_id: str, child: str, child_id: str, parameters: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return one record that belongs to another one."""
        return self._read(self._child(name, parent_id, child, child_id), child_id, parameters)

    def _read(
        self, resource: Resource, record_id: str, parameters: Mapping[str, str]
    ) -> dict[str, Any]:
        metadata = self._metadata(resource)
        names = field_names(parameters)
        return self._records(metadata).shown(self._row(resource, record_id, names), names)

    def create(self, name: str, body: Any) -> dict[str, Any]:
        """Create a record, and return it."""
        return self._create(find_resource(self._api, name), body)

    def create_child(self, name: str, parent_id: str, child: str, body: Any) -> dict[str, Any]:
        """Create a record that belongs to another one, and return it."""
        parent = find_resource(self._api, name)
        resource, field = find_child(self._api, parent, parent_id, child)
        if not field:
            return self._create(resource, body)
        value: Any = checked_id(parent_id)
        kind = self._metadata(resource).field(field).type
        if kind == FieldType.LOOKUP:
            value = {"LogicalName": parent.object, "Id": value}
        elif kind == FieldType.NUMBER and parent_id.isdecimal():
            value = int(parent_id)
        wrap = self._api.wrap
        inner = body.get(wrap) if wrap and isinstance(body, dict) else body
        if not isinstance(inner, dict):
            return self._create(resource, body)
        linked = inner | {field: value}
        return self._create(resource, {wrap: linked} if wrap else linked)

    def _create(self, resource: Resource, body: Any) -> dict[str, Any]:
        self._require(resource, "create")
        metadata = self._metadata(resource)
        records = self._records(metadata)
        written = records.written(body, is_new=True)
        answer = self._write(resource, self._api.create, metadata.path, written)
        if self._api.create.answers == "record":
            return records.shown(self._answered(resource, answer))
        record_id = value_at(answer.document, self._api.create.id_at)
        return records.shown(self._row(resource, str(record_id), ()))

    def update(self, name: str, record_id: str, body: Any) -> dict[str, Any]:
        """Change some fields of a record, and return it."""
        return self._update(find_resource(self._api, name), record_id, body)

    def update_child(
        self, name: str, parent_id: str, child: str, child_id: str, body: Any
    ) -> dict[str, Any]:
        """Change some fields of a record that belongs to another one, and return it."""
        return self._update(self._child(name, parent_id, child, child_id), child_id, body)

    def _update(self, resource: Resource, record_id: str, body: Any) -> dict[str, Any]:
        self._require(resource, "update")
        metadata = self._metadata(resource)
        target = self._target(metadata, record_id)
        records = self._records(metadata)
        written = records.written(body, is_new=False)
        answer = self._write(resource, self._api.update, target, written)
        if self._api.update.answers == "record":
            return records.shown(self._answered(resource, answer))
        return records.shown(self._row(resource, record_id, ()))

    def delete(self, name: str, record_id: str) -> None:
        """Delete a record."""
        self._delete(find_resource(self._api, name), record_id)

    def delete_child(self, name: str, parent_id: str, child: str, child_id: str) -> None:
        """Delete a record that belongs to another one."""
        self._delete(self._child(name, parent_id, child, child_id), child_id)

    def _delete(self, resource: Resource, record_id: str) -> None:
        self._require(resource, "delete")
        self._session.send("DELETE", self._target(self._metadata(resource), record_id))

    def _child(self, name: str, parent_id: str, child: str, child_id: str) -> Resource:
        """Return the resource of a child record, after a check that it belongs to the parent.

        At a path that names the parent, the provider checks it.
        """
        parent = find_resource(self._api, name)
        resource, field_name = find_child(self._api, parent, parent_id, child)
        if not field_name:
            return resource
        metadata = self._metadata(resource)
        row = self._vendor.shown_fields(
            self._session, metadata, self._row(resource, child_id, (field_name,))
        )
        if str(row.get(field_name)).lower() != parent_id.lower():
            raise HubCallRefusedError(f"No record found with ID {child_id[:100]}", http_status=404)
        return resource

    def object_names(self) -> list[str]:
        """Return the names of all objects of the provider, custom ones included."""
        return cached(self._session, ("objects",), lambda: self._vendor.object_names(self._session))

    def describe(self, name: str) -> ObjectMetadata:
        """Return all that is known of an object, by the name of its resource or the provider's."""
        metadata = self._metadata(find_object(self._api, name))
        return cached(
            self._session,
            ("choices", metadata.name),
            lambda: self._vendor.with_choices(self._session, metadata),
        )

    def _metadata(self, resource: Resource) -> ObjectMetadata:
        metadata = cached(
            self._session,
            ("object", resource.name),
            lambda: self._vendor.describe(self._session, resource),
        )
        return replace(metadata, path=resource.path) if resource.path else metadata

    def _records(self, metadata: ObjectMetadata) -> Records:
        return Records(self._session, self._vendor, metadata)

    def _require(self, resource: Resource, verb: str) -> None:
        if resource.allows(verb):
            return
        methods = {"create": "POST", "update": "PATCH", "delete": "DELETE"}
        reads = ["GET", *(m for v, m in methods.items() if resource.allows(v))]
        raise not_allowed(methods[verb], reads)

    def _target(self, metadata: ObjectMetadata, record_id: str) -> str:
        """Return the path of one record. Raises HubCallRefusedError for an id that cannot be one."""
        segment = quote(checked_id(record_id), safe="")
        if metadata.fields[metadata.id_field].type == FieldType.ID:
            guid = guid_of(record_id)
            if guid is None:
                raise HubCallRefusedError(
                    f"No record found with ID {record_id[:100]}", http_status=404
                )
            segment = str(guid)
        return self._api.record.format(path=metadata.path, id=segment)

    def _row(self, resource: Resource, record_id: str, names: tuple[str, ...]) -> dict[str, Any]:
        metadata = self._metadata(resource)
        query = self._vendor.select(self._session, metadata, names)
        target = self._target(metadata, record_id)
        document = self._session.get(f"{target}?{query}" if query else target)
        return self._answered(resource, Answer({}, document))

    def _write(
        self, resource: Resource, write: Write, target: str, document: dict[str, Any]
    ) -> Answer:
        if not document:
            raise InvalidCallError("The body sets no field")
        place = self._api.place("body_at", resource.name)
        body = {place: document} if place else document
        return self._session.send(write.method, target, headers=write.headers, document=body)

    def _answered(self, resource: Resource, answer: Answer) -> dict[str, Any]:
        place = self._api.place("item_at", resource.name)
        record = value_at(answer.document, place) if place else answer.document
        if not isinstance(record, dict):
            raise UnusableAnswerError(
                f"{self._session.provider} sent a response that could not be understood."
            )
        return record
