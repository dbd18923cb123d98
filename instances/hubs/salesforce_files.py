"""Files at Salesforce: bodies of attachments, and documents, whose versions hold the bytes (contract for hubs, 3).

Salesforce's "Insert or Update Blob Data" and "sObject Blob Get" (developer.salesforce.com, 2026-11).
"""

import json
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from instances.errors import InvalidCallError, UnusableAnswerError
from instances.hubs.resources import checked_id
from instances.hubs.session import HubSession, value_at
from instances.platforms.transport import StreamBody, StreamedAnswer

VERSION, DOCUMENT, ATTACHMENT = "ContentVersion", "ContentDocument", "Attachment"
# The fields with the bytes, and the names of the part of a form that has all other fields.
_BLOBS = {VERSION: ("VersionData", "entity_content"), ATTACHMENT: ("Body", "entity_attachment")}
_MEMORY_BYTES = 1_048_576
_MAX_NAME_CHARACTERS = 255


class SalesforceFiles:
    """Send and read the bytes of files. Every method raises what HubSession.send() raises, and HubCallRefusedError."""

    def __init__(self, session: HubSession) -> None:
        self._session = session

    def open(self, sobject: str, record_id: str) -> StreamedAnswer:
        """Return the response with the bytes of an attachment or a version. Close it."""
        field, _ = _BLOBS[sobject]
        return self._session.open(f"{_target(sobject, record_id)}/{field}")

    def latest_version(self, document_id: str) -> str:
        """Return the id of a document's latest version."""
        return self._named(DOCUMENT, document_id, "LatestPublishedVersionId")

    def document_of(self, version_id: str) -> str:
        """Return the id of a version's document."""
        return self._named(VERSION, version_id, "ContentDocumentId")

    def _named(self, sobject: str, record_id: str, field: str) -> str:
        """Return the id in a field of a record."""
        return self._id_in(
            self._session.get(f"{_target(sobject, record_id)}?fields={field}"), field
        )

    def _id_in(self, document: Any, field: str) -> str:
        found = value_at(document, field)
        if not isinstance(found, str) or not found:
            raise UnusableAnswerError(
                f"{self._session.provider} sent a response that could not be understood."
            )
        return found

    def create(
        self, sobject: str, file: BinaryIO, *, file_name: str, fields: Mapping[str, str]
    ) -> str:
        """Create an attachment or a version with a file, and return its id. Raises InvalidCallError."""
        name = file_name.replace("\\", "/").rpartition("/")[2].strip()
        if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
            raise InvalidCallError("The name of the file is missing or not valid")
        boundary = uuid.uuid4().hex
        with cast(BinaryIO, tempfile.SpooledTemporaryFile(_MEMORY_BYTES)) as form:
            field, part = _BLOBS[sobject]
            document = json.dumps({key: text for key, text in fields.items() if text})
            quoted = name.replace("\\", "\\\\").replace('"', "%22")
            form.write(
                f'--{boundary}\r\nContent-Disposition: form-data; name="{part}"\r\n'
                f"Content-Type: application/json\r\n\r\n{document}\r\n"
                f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{quoted}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n".encode()
            )
            shutil.copyfileobj(file, form)
            form.write(f"\r\n--{boundary}--\r\n".encode())
            answer = self._session.send_body(
                "POST",
                f"sobjects/{sobject}",
                StreamBody(form, form.tell()),
                headers={"Content-Type": f'multipart/form-data; boundary="{boundary}"'},
            )
        return self._id_in(answer.document, "id")


def _target(sobject: str, record_id: str) -> str:
    return f"sobjects/{sobject}/{quote(checked_id(record_id), safe='')}"
