"""Salesforce's REST API on the loopback: sObjects of two kinds, and queries in SOQL."""

import json
import re
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.api.conftest import ApiClient
from tests.support.loopback import LoopbackHandler, LoopbackServer
from tests.support.soql import SoqlError, parse_soql

API = "/services/data/v60.0"
CONTACTS = 450
TYPES = {
    "id": "text", "string": "text", "email": "text", "reference": "text", "picklist": "text", "double": "number",
    "base64": "text", "boolean": "boolean", "date": "date", "datetime": "datetime",
}  # fmt: skip
COLUMNS = {
    "Contact": {
        "Id": "id", "LastName": "string", "FirstName": "string", "Email": "email", "AccountId": "reference",
        "Birthdate": "date", "HasOptedOut": "boolean", "Score__c": "double", "LeadSource": "picklist",
        "SystemModstamp": "datetime",
    },
    "Event": {"Id": "id", "Subject": "string", "WhoId": "reference", "WhatId": "reference"},
    "User": {"Id": "id", "Username": "string"},
    "Attachment": {
        "Id": "id", "Name": "string", "ParentId": "reference", "Description": "string", "Body": "base64",
    },
    "ContentVersion": {
        "Id": "id", "PathOnClient": "string", "Title": "string", "Description": "string", "ContentDocumentId": "reference",
        "FirstPublishLocationId": "reference", "ReasonForChange": "string", "VersionData": "base64",
    },
    "ContentDocument": {"Id": "id", "Title": "string", "LatestPublishedVersionId": "reference"},
    "ContentDocumentLink": {
        "Id": "id", "ContentDocumentId": "reference", "LinkedEntityId": "reference", "ShareType": "picklist",
    },
    "Task": {"Id": "id", "Subject": "string", "WhoId": "reference", "SystemModstamp": "datetime"},
}  # fmt: skip
PREFIXES = {
    "Contact": "003",
    "Task": "00T",
    "Event": "00U",
    "Attachment": "00P",
    "ContentVersion": "068",
    "ContentDocumentLink": "06A",
}
_READ_ONLY = {"Id", "SystemModstamp"}


class SalesforceStub(LoopbackServer):
    """with SalesforceStub() as stub: stub.url; stub.queries: the SOQL that it got; stub.targets: what was asked.

    stub.refused: SOQL that it could not parse.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.queries: list[str] = []
        self.targets: list[str] = []
        self.refused: list[str] = []
        self.rows: dict[str, dict[str, dict[str, Any]]] = {
            "Contact": {row["Id"]: row for row in map(_contact, range(CONTACTS))},
            **{name: {} for name in COLUMNS if name != "Contact"},
        }

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        self.targets.append(f"{method} {target}")
        parts = urlsplit(target)
        path, query = parts.path.removeprefix(API), parse_qs(parts.query)
        if path == "/query":
            return self._query(query["q"][0])
        if path == "/sobjects":
            return 200, {"sobjects": [{"name": name} for name in COLUMNS]}
        if blob := re.fullmatch(r"/sobjects/(\w+)/(\w+)/(Body|VersionData)", path):
            row = self.rows[blob[1]].get(blob[2])
            missing = 404, [{"errorCode": "NOT_FOUND", "message": "no such record"}]
            return (200, row[blob[3]]) if row else missing
        found = re.fullmatch(r"/sobjects/(\w+)(?:/(\w+))?", path)
        if not found or found[1] not in COLUMNS:
            return 404, [
                {"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}
            ]
        name, record_id = found.groups()
        if record_id == "describe":
            return 200, {
                "name": name,
                "fields": [_described(*one) for one in COLUMNS[name].items()],
            }
        if method == "POST":
            return self._create(name, body)
        return self._record(method, name, str(record_id), body, query)

    def _query(self, text: str) -> tuple[int, Any]:
        self.queries.append(text)
        types = {
            name: {column: TYPES[kind] for column, kind in columns.items()}
            for name, columns in COLUMNS.items()
        }
        try:
            query = parse_soql(text, types)
        except SoqlError as error:
            self.refused.append(text)
            return 400, [{"errorCode": "MALFORMED_QUERY", "message": str(error)}]
        rows = [row for row in self.rows[query.object].values() if query.matches(row)]
        if not query.columns:
            return 200, {"totalSize": len(rows), "done": True, "records": []}
        for name, is_descending in reversed(query.order):
            rows.sort(key=partial(_sort_key, name), reverse=is_descending)
        rows = rows[query.offset : query.offset + query.limit]
        shown = [
            {"attributes": {"type": query.object}} | {c: row[c] for c in query.columns}
            for row in rows
        ]
        done = len(shown) <= 2000
        return 200, {"totalSize": len(shown), "done": done, "records": shown[:2000]}

    def _create(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        if refusal := _refusal(name, body):
            return refusal
        prefix = PREFIXES[name]
        record_id = f"{prefix}{len(self.rows[name]) + 900_000:015}"
        stamp = {"SystemModstamp": "2026-11-27T12:00:00.000+0000"}
        stamp = stamp if "SystemModstamp" in COLUMNS[name] else {}
        row = dict.fromkeys(COLUMNS[name]) | _stored(name, body) | {"Id": record_id} | stamp
        self.rows[name][record_id] = row
        if name == "ContentVersion":
            self._publish(row)
        return 201, {"id": record_id, "success": True, "errors": []}

    def _publish(self, version: dict[str, Any]) -> None:
        """Do as Salesforce does with a new version: make its document and the link to a record."""
        documents = self.rows["ContentDocument"]
        document_id = version["ContentDocumentId"] or f"069{len(documents):012}AAA"
        version["ContentDocumentId"] = document_id
        documents[document_id] = {
            "Id": document_id,
            "Title": version["PathOnClient"],
            "LatestPublishedVersionId": version["Id"],
        }
        if target := version["FirstPublishLocationId"]:
            link = {"ContentDocumentId": document_id, "LinkedEntityId": target, "ShareType": "V"}
            self._create("ContentDocumentLink", link)

    def _record(
        self, method: str, name: str, record_id: str, body: Any, query: dict[str, list[str]]
    ) -> tuple[int, Any]:
        row = self.rows[name].get(record_id)
        if row is None:
            message = "Provided external ID field does not exist or is not accessible"
            return 404, [{"errorCode": "NOT_FOUND", "message": message}]
        if method == "DELETE":
            del self.rows[name][record_id]
            return 204, None
        if method == "PATCH":
            if refusal := _refusal(name, body):
                return refusal
            row.update(_stored(name, body))
            return 204, None
        names = query.get("fields", [",".join(row)])[0].split(",")
        shown = {column: row[column] for column in names}
        for column in names:
            if isinstance(row[column], bytes):
                shown[column] = f"{API}/sobjects/{name}/{record_id}/{column}"
        return 200, {"attributes": {"type": name}} | shown


def _sort_key(name: str, row: dict[str, Any]) -> tuple[Any, ...]:
    return (False,) if row[name] is None else (True, row[name])


def _refusal(name: str, body: dict[str, Any]) -> tuple[int, Any] | None:
    for column in body:
        if column not in COLUMNS[name] or column in _READ_ONLY:
            return 400, [{"errorCode": "INVALID_FIELD", "message": f"No such column '{column}'"}]
    return None


def _stored(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Salesforce stores a number in a text column as text."""
    return {
        column: str(value)
        if isinstance(value, int) and TYPES[COLUMNS[name][column]] == "text"
        else value
        for column, value in body.items()
    }


def _contact(number: int) -> dict[str, Any]:
    return {
        "Id": f"003{number:015}",
        "LastName": ("O'Brien", "de Wit", "Holm")[number % 3],
        "FirstName": f"Ada {number}",
        "Email": f"ada_{number}@example.com" if number % 2 else None,
        "AccountId": f"001{number % 10:015}",
        "Birthdate": f"19{number % 90 + 10}-01-01",
        "HasOptedOut": number % 5 == 0,
        "Score__c": number / 2,
        "LeadSource": "Web",
        "SystemModstamp": f"2026-01-01T{number // 60:02}:{number % 60:02}:00.000+0000",
    }


def _described(name: str, kind: str) -> dict[str, Any]:
    is_written = name not in _READ_ONLY
    choices = [{"value": "Web", "label": "Web site", "active": True}] if kind == "picklist" else []
    return {
        "name": name, "type": kind, "label": name, "custom": name.endswith("__c"), "filterable": True,
        "createable": is_written, "updateable": is_written, "nillable": name != "LastName",
        "defaultedOnCreate": False, "picklistValues": choices,
    }  # fmt: skip


@dataclass
class SalesforceClient:
    """Call hub paths with the Element token of an instance of Salesforce."""

    api: ApiClient
    token: str
    stub: SalesforceStub

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.api.call(method, path, body, element=self.token)

    def get(self, path: str, **query: str) -> Any:
        header = {"Authorization": f"{self.api.header}, Element {self.token}"}
        return self.api.django.get(f"/elements/api-v2/{path}", query, headers=header)

    def ids(self, path: str, **query: str) -> list[str]:
        response = self.get(path, **query)
        assert response.status_code == 200, response.content
        return [row["id"] for row in response.json()]


def _sent(content_type: str, body: bytes) -> Any:
    """Return the JSON of a body; of a form, with the bytes of the file."""
    if not content_type.startswith("multipart/form-data"):
        return json.loads(body or b"null")
    form = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: %s\r\n\r\n" % content_type.encode() + body
    )
    entity, file = form.iter_parts()
    assert entity.get_content_type() == "application/json"
    name = file.get_param("name", header="Content-Disposition")
    return json.loads(entity.get_content()) | {name: file.get_payload(decode=True)}


class _Handler(LoopbackHandler):
    def _serve(self) -> None:
        stub: SalesforceStub = self.server.owner
        sent = _sent(self.headers["Content-Type"] or "", self.read_body())
        status, document = stub.answer(self.command, self.path, sent)
        is_file = isinstance(document, bytes)
        content = (
            document if is_file else b"" if document is None else json.dumps(document).encode()
        )
        self.send_response(status)
        self.send_header(
            "Content-Type", "application/octetstream" if is_file else "application/json"
        )
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815
