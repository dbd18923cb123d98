"""Pages of providers that are only described by their element's file (contract for hubs, 6 and 14.1)."""

import json
from contextlib import ExitStack
from typing import Any

import pytest

from tests.hubs.conftest import make_program
from tests.support.provider_api import key_definition
from tests.support.rest_stub import (
    CURSOR,
    LINK_HEADER,
    NEXT_LINK,
    OFFSET,
    PAGE,
    Collection,
    Paged,
    RestStub,
)

COUNT = 23
TAGS = {"field": "tag", "operators": ["IN"], "parameter": "tags"}
OFFSETS = {"style": "offset", "parameter": "_skip", "size_parameter": "_limit", "max": 12}
# By name: how the provider divides lists, where the records are, and how the element's file says so.
WAYS: dict[str, tuple[Paged, str, dict[str, Any]]] = {
    "cursor": (
        CURSOR,
        "results",
        {
            "style": "cursor",
            "parameter": "after",
            "size_parameter": "limit",
            "next_at": "paging.next.after",
            "max": 12,
        },
    ),
    "cursor of fixed pages": (
        CURSOR,
        "results",
        {"style": "cursor", "parameter": "after", "next_at": "paging.next.after", "max": 12},
    ),
    "offset": (OFFSET, "data", OFFSETS | {"more_at": "has_more"}),
    "offset without a sign of more": (OFFSET, "data", OFFSETS),
    "page": (
        PAGE,
        "",
        {"style": "page", "parameter": "page", "size_parameter": "per_page", "max": 12},
    ),
    "link header": (
        LINK_HEADER,
        "",
        {"style": "link_header", "size_parameter": "limit", "max": 12},
    ),
    "next link": (
        NEXT_LINK,
        "items",
        {"style": "next_link", "size_parameter": "limit", "next_at": "links.next", "max": 12},
    ),
}


class Lists:
    """A client of an instance whose provider has COUNT contacts."""

    def __init__(self, program, stub):
        self.program, self.stub = program, stub

    def get(self, path="contacts", **query):
        return self.program.api.django.get(
            f"/elements/api-v2/{path}", query, headers={"Authorization": self.program.header()}
        )

    def ids(self, **query):
        response = self.get(**query)
        assert response.status_code == 200, response.content
        return [row["id"] for row in response.json()]


@pytest.fixture
def lists(db, settings):
    with ExitStack() as stack:

        def connect(way: str) -> Lists:
            paged, list_at, paging = WAYS[way]
            contacts = {"contacts": Collection([{"id": f"c{n}"} for n in range(COUNT)])}
            stub = stack.enter_context(
                RestStub(paged, {f"api/{name}": one for name, one in contacts.items()})
            )
            settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [stub.netloc]
            definition = key_definition(stub.url)
            definition["hub_api"] = {
                "vendor": "rest",
                "list_at": list_at,
                "error_at": "message",
                "paging": paging,
                "create": {"method": "POST"},
                "update": {"method": "PATCH"},
                "resources": {
                    name: {"path": "contacts", "object": name, "id": "id", "filters": [TAGS]}
                    for name in ("contacts", "people")
                },
            }
            return Lists(make_program(definition, {"api.key": "k3y"}), stub)

        yield connect


@pytest.mark.parametrize("way", WAYS)
def test_pages_are_stable_by_number_and_by_token(lists, way):
    provider = lists(way)
    whole = provider.ids(pageSize="6")
    assert whole == [f"c{n}" for n in range(6)]
    second = provider.get(pageSize="3", page="2")
    assert provider.ids(pageSize="3") + [row["id"] for row in second.json()] == whole
    token = provider.get(pageSize="3")["Elements-Next-Page-Token"]
    assert provider.ids(pageSize="3", nextPage=token, page="1") == whole[3:]
    # What follows a page that was asked for by its number, up to the last record.
    seen, token = [], second["Elements-Next-Page-Token"]
    while token:
        response = provider.get(pageSize="3", page="2", nextPage=token)
        seen += [row["id"] for row in response.json()]
        token = response.get("Elements-Next-Page-Token", "")
    assert seen == [f"c{n}" for n in range(6, COUNT)]


@pytest.mark.parametrize("way", ["offset without a sign of more", "page", "cursor", "link header"])
def test_a_full_last_page_has_no_token(lists, way):
    provider = lists(way)
    provider.stub.collections["api/contacts"].rows[12:] = []
    first = provider.get(pageSize="6")
    last = provider.get(pageSize="6", nextPage=first["Elements-Next-Page-Token"])
    assert [row["id"] for row in last.json()] == [f"c{n}" for n in range(6, 12)]
    assert "Elements-Next-Page-Token" not in last


def test_a_page_number_beyond_the_largest_page_needs_tokens(lists):
    response = lists("cursor").get(pageSize="5", page="3")
    assert (response.status_code, "use nextPage" in response.json()["message"]) == (400, True)
    assert lists("page").ids(pageSize="5", page="4") == [f"c{n}" for n in range(15, 20)]


@pytest.mark.parametrize("way", ["page", "offset without a sign of more"])
def test_a_provider_that_answers_404_beyond_the_end_ends_there(lists, way, monkeypatch):
    provider = lists(way)
    provider.stub.collections["api/contacts"].rows[12:] = []
    answer = provider.stub.answer

    def strict(method, target, body):
        status, document, link = answer(method, target, body)
        rows = document.get("data") if isinstance(document, dict) else document
        return (status, document, link) if rows else (404, {"message": "no such page"}, "")

    monkeypatch.setattr(provider.stub, "answer", strict)
    last = provider.get(pageSize="6", page="2")
    assert (len(last.json()), "Elements-Next-Page-Token" in last) == (6, False)
    beyond = provider.get(pageSize="6", page="3")
    assert (beyond.status_code, beyond.json()) == (200, [])
    # A list that does not exist has no second page either.
    provider.stub.collections["api/contacts"].rows.clear()
    assert provider.get(pageSize="6", page="2").status_code == 404


def test_a_provider_whose_pages_are_shorter_than_asked_leaves_nothing_out(lists):
    assert lists("cursor of fixed pages").ids(pageSize="1", page="12") == ["c11"]


def test_a_comma_is_not_read_as_a_second_value(lists):
    provider = lists("cursor")
    message = provider.get(where="tag IN ('a', 'b,c')").json()["message"]
    assert ("comma" in message, provider.stub.targets) == (True, [])


def test_a_token_is_good_for_its_own_query_only(lists):
    provider = lists("cursor")
    token = provider.get(pageSize="3")["Elements-Next-Page-Token"]
    asked = len(provider.stub.targets)
    for path, query in [("contacts", {"pageSize": "4"}), ("people", {"pageSize": "3"})]:
        assert provider.get(path, nextPage=token, **query).status_code == 400
    assert provider.get(pageSize="3", nextPage="YWZ0ZXIgMw==").status_code == 400
    assert len(provider.stub.targets) == asked


ELSEWHERE = [
    "http://evil.example/api/contacts?token=x",
    "//evil.example/api/contacts",
    "/other/contacts",
    "https://127.0.0.1/api/contacts",
    "/api/../secrets",
    "javascript:alert(1)",
]
NO_LINKS = ["http://[", "//[x", f"/api/contacts?token={'x' * 5000}", {"href": "x"}]


@pytest.mark.parametrize("link", ELSEWHERE)
def test_a_link_header_to_another_place_is_refused(lists, link, monkeypatch):
    provider = lists("link header")
    monkeypatch.setattr(
        provider.stub, "answer", lambda *_: (200, [{"id": "c1"}], f'<{link}>; rel="next"')
    )
    response = provider.get()
    assert (response.status_code, "another address" in response.json()["message"]) == (502, True)


@pytest.mark.parametrize("link", ELSEWHERE + NO_LINKS)
def test_a_link_in_the_body_to_another_place_is_refused(lists, link, monkeypatch):
    provider = lists("next link")
    body = {"items": [{"id": "c1"}], "links": {"next": link}}
    monkeypatch.setattr(provider.stub, "answer", lambda *_: (200, body, ""))
    assert provider.get().status_code == 502


@pytest.mark.parametrize("cursor", [{"a": 1}, ["x"], "x" * 5000, 1.5])
def test_a_cursor_that_is_none_is_refused(lists, cursor, monkeypatch):
    provider = lists("cursor")
    body = {"results": [{"id": "c1"}], "paging": {"next": {"after": cursor}}}
    monkeypatch.setattr(provider.stub, "answer", lambda *_: (200, body, ""))
    response = provider.get()
    assert (response.status_code, "cursor" in response.json()["message"]) == (502, True)


def test_half_of_a_character_is_a_question_mark(lists, monkeypatch):
    provider = lists("cursor")
    rows = [{"id": "c1", "name": "half \ud83d, whole \U0001f600"}]
    body = {"results": rows, "paging": {"next": {"after": "\ud83d"}}}
    monkeypatch.setattr(provider.stub, "answer", lambda *_: (200, body, ""))
    response = provider.get(pageSize="1")
    assert response.json()[0]["name"] == "half ?, whole \U0001f600"
    assert (
        provider.get(pageSize="1", nextPage=response["Elements-Next-Page-Token"]).status_code == 502
    )


def test_a_number_that_json_cannot_pass_on_is_502(lists, monkeypatch):
    provider = lists("page")
    body = b'[{"id": "c1", "n": 1e99}]'
    monkeypatch.setattr(provider.stub, "answer", lambda *_: (200, body, ""))
    assert provider.get(pageSize="6").json() == [{"id": "c1", "n": 1e99}]
    # Python reads it as Infinity.
    body = b'[{"id": "c1", "n": 1e999}]'
    assert provider.get(pageSize="6").status_code == 502


def test_a_provider_that_leads_in_a_circle_is_stopped(lists, monkeypatch):
    provider = lists("cursor")
    body = {"results": [{"id": "c1"}], "paging": {"next": {"after": "same"}}}
    monkeypatch.setattr(provider.stub, "answer", lambda *_: (200, body, ""))
    response = provider.get()
    assert (response.status_code, "same page" in response.json()["message"]) == (502, True)


def test_a_page_that_is_larger_than_asked_is_no_page(lists, monkeypatch):
    provider = lists("page")
    monkeypatch.setattr(provider.stub, "answer", lambda *_: (200, [{"id": "a"}] * 7, ""))
    assert provider.get(pageSize="6").status_code == 502


def test_a_record_that_is_nested_too_deeply_is_502(lists, monkeypatch):
    provider = lists("page")
    deep = json.loads("[" * 2000 + "]" * 2000)
    monkeypatch.setattr(provider.stub, "answer", lambda *_: (200, [{"id": "a", "x": deep}], ""))
    response = provider.get(pageSize="6")
    assert (response.status_code, "too deeply" in response.json()["message"]) == (502, True)
