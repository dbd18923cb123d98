"""Read records of an instance wherever it is, for people who try it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from instances.errors import HubCallRefusedError, ServerBusyError, UnusableAnswerError
from instances.hubs.calls import connect
from instances.hubs.hub import RecordsPage, open_hub
from instances.hubs.list_query import DEFAULT_PAGE_SIZE
from instances.hubs.session import MAX_ANSWER_BYTES, document_of
from instances.models import Element, Instance
from instances.redaction import redact_json, redact_text, storable

type Record = dict[str, Any]

_MAX_MESSAGE_CHARACTERS = 500
# Unlike calls of programs, they hold threads that answer pages, and a provider may take minutes.
_reads = threading.BoundedSemaphore(4)


def resource_names(element: Element) -> list[str]:
    """Return the resources that the element's file describes; of a remote platform, others may exist."""
    api = element.parsed.hub_api
    return sorted(api.resources) if api else []


def read_page(
    instance: Instance, resource: str, parameters: Mapping[str, str], *, actor: str
) -> RecordsPage:
    """Return one page of records, as a program would get them, but without the secrets that were sent.

    parameters: the query parameters of the call. Raises ServerBusyError, and what open_hub() and Hub.list_records() raise.
    """
    with _one_of_few():
        if instance.organization.is_remote:
            return _read_page_of_platform(instance, resource, parameters, actor=actor)
        with open_hub(instance, actor=actor) as hub:
            page = hub.list_records(resource, parameters)
            return replace(page, records=_without_secrets(page.records, hub.secrets))


@contextmanager
def _one_of_few() -> Iterator[None]:
    if not _reads.acquire(blocking=False):
        raise ServerBusyError(
            "Others are trying instances, and their providers have not answered yet. Try again in a minute.",
            retry_after_seconds=60,
        )
    try:
        yield
    finally:
        _reads.release()


def _read_page_of_platform(
    instance: Instance, resource: str, parameters: Mapping[str, str], *, actor: str
) -> RecordsPage:
    path = f"hubs/{quote(instance.element.hub, safe='')}/{quote(resource, safe='')}"
    given = urlencode({name: value for name, value in parameters.items() if value})
    with (
        closing(connect(instance, actor=actor, operation="Hub call")) as connected,
        connected.send("GET", f"{path}?{given}", headers={"Accept": "application/json"}) as answer,
    ):
        document = document_of(answer.read(max_bytes=MAX_ANSWER_BYTES))
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise HubCallRefusedError(
                f"The remote platform rejected the request (HTTP {answer.status})",
                provider_message=_message_in(document, connected.secrets),
            )
        if not isinstance(document, list):
            raise UnusableAnswerError(
                f"The remote platform sent a response that is not a list (HTTP {answer.status}).",
                status=answer.status,
            )
        if len(document) > int(parameters.get("pageSize", DEFAULT_PAGE_SIZE)):
            raise UnusableAnswerError(
                "The remote platform sent more records than were asked for.", status=answer.status
            )
        records = [record for record in document if isinstance(record, dict)]
        records = _without_secrets(records, connected.secrets)
        return RecordsPage(records, answer.headers.get("Elements-Next-Page-Token", ""), None)


def _without_secrets(records: list[Record], secrets: frozenset[str]) -> list[Record]:
    """Redact records: who may try an instance need not know its secrets, and a provider may repeat what it got."""
    try:
        redacted: list[Record] = redact_json(records, secrets)
    except RecursionError:
        raise UnusableAnswerError("A record is nested too deeply to be shown.") from None
    return redacted


def _message_in(document: object, secrets: frozenset[str]) -> str:
    """Return the message of an error document (contract 3), without secrets."""
    message = document.get("message") if isinstance(document, dict) else None
    if not isinstance(message, str):
        return ""
    return storable(redact_text(message, secrets))[:_MAX_MESSAGE_CHARACTERS]
