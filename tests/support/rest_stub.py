"""Providers on the loopback whose lists are divided into pages in five ways. They are strict: what they do not know is 400."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.loopback import LoopbackHandler, LoopbackServer

type Row = dict[str, Any]
type Matches = Callable[[Row, str], bool]


class RefusedError(Exception):
    """A request that the provider does not understand."""


@dataclass(frozen=True)
class Slice:
    """Records of a page, and where the next one begins; None after the last one."""

    rows: list[Row]
    next_offset: int | None


def _slice(rows: list[Row], offset: int, size: int) -> Slice:
    end = offset + size
    return Slice(rows[offset:end], end if end < len(rows) else None)


@dataclass
class Paged:
    """One way of paging.

    parameter, size_parameter: their names. largest: more is 400. envelope: what a page's body is. link: added as a header.
    """

    parameter: str
    size_parameter: str
    largest: int
    offset: Callable[[str, int], int]
    envelope: Callable[[Slice, str], Any]
    link: Callable[[str], str] | None = None
    next_value: Callable[[int], str] = str

    def answer(self, url: str, rows: list[Row], query: dict[str, str]) -> tuple[Any, str]:
        """Return body and Link header. Raises RefusedError."""
        size = int(query.get(self.size_parameter, "10"))
        if not 1 <= size <= self.largest:
            raise RefusedError(f"{self.size_parameter} is too large")
        given = query.get(self.parameter)
        part = _slice(rows, self.offset(given, size) if given else 0, size)
        if part.next_offset is None:
            return self.envelope(part, ""), ""
        value = self.next_value(part.next_offset)
        following = f"{url}?{urlencode(query | {self.parameter: value})}"
        return self.envelope(part, following), self.link(following) if self.link else ""


def opaque(offset: int) -> str:
    return base64.b64encode(f"after {offset}".encode()).decode()


def _offset_of(text: str, _: int) -> int:
    try:
        return int(base64.b64decode(text, validate=True).decode().removeprefix("after "))
    except ValueError:
        raise RefusedError("unknown cursor") from None


def _cursor_body(part: Slice, _: str) -> Row:
    following = {"next": {"after": opaque(part.next_offset)}} if part.next_offset else None
    return {"results": part.rows} | ({"paging": following} if following else {})


CURSOR = Paged("after", "limit", 100, _offset_of, _cursor_body, next_value=opaque)
OFFSET = Paged(
    "_skip",
    "_limit",
    100,
    lambda text, _: int(text),
    lambda part, _: {"data": part.rows, "has_more": part.next_offset is not None},
)
PAGE = Paged(
    "page", "per_page", 100, lambda text, size: (int(text) - 1) * size, lambda part, _: part.rows
)
LINK_HEADER = Paged(
    "page_info",
    "limit",
    100,
    _offset_of,
    lambda part, _: part.rows,
    link=lambda url: (
        f'<https://other.example/>; rel="previous", <{url}>; title="a, b;c"; rel="last next"'
    ),
    next_value=opaque,
)
NEXT_LINK = Paged(
    "token",
    "limit",
    100,
    _offset_of,
    lambda part, url: {"items": part.rows, "links": {"next": url or None}},
    next_value=opaque,
)
PIPEDRIVE = Paged(
    "cursor",
    "limit",
    500,
    _offset_of,
    lambda part, _: {
        "success": True,
        "data": part.rows,
        "additional_data": {"next_cursor": part.next_offset and opaque(part.next_offset)},
    },
    next_value=opaque,
)


@dataclass
class Collection:
    """The records at one path. filters, others: the parameters that are understood. wrap: of bodies, and of fields in rows.

    update: the only method that changes a record. item: what one record's response is. sort: the parameter with the field
    to sort by, with a minus for the other direction unless that has a parameter of its own.
    """

    rows: list[Row]
    filters: Mapping[str, Matches] = field(default_factory=dict)
    select: str = ""
    wrap: str = ""
    update: str = "PATCH"
    item: Callable[[Row], Any] = lambda row: row
    sort: str = ""
    direction: str = ""
    new_id: Callable[[int], Any] = str

    @property
    def sorting(self) -> set[str]:
        return {self.sort, self.direction} - {""}

    def ordered(self, rows: list[Row], query: Mapping[str, str]) -> list[Row]:
        text = query.get(self.sort, "") if self.sort else ""
        if not text:
            return rows
        field = text if self.direction else text.removeprefix("-")
        is_descending = query[self.direction] == "desc" if self.direction else text.startswith("-")
        if field not in rows[0]:
            raise RefusedError(f"unknown field {field}")
        return sorted(rows, key=lambda row: str(row[field]), reverse=is_descending)

    def shown(self, row: Row, query: Mapping[str, str]) -> Row:
        if self.select not in query:
            return row
        names = query[self.select].split(",")
        if not self.wrap:
            return {name: row[name] for name in names}
        return row | {self.wrap: {name: row[self.wrap].get(name) for name in names}}


class RestStub(LoopbackServer):
    """with RestStub(CURSOR, {"contacts": Collection(rows)}) as stub: stub.url; stub.targets: what was asked.

    tail: what ends the path of a collection and of a record.
    """

    def __init__(self, paged: Paged, collections: dict[str, Collection], *, tail: str = "") -> None:
        super().__init__(_Handler)
        self.paged = paged
        self.collections = collections
        self.tail = tail
        self.targets: list[str] = []

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any, str]:
        """Return status, body and Link header."""
        self.targets.append(f"{method} {target}")
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        path = parts.path.removeprefix("/")
        try:
            for name, collection in self.collections.items():
                if path == name + self.tail:
                    return self._collection(method, parts.path, collection, query, body)
                record_id = path.removeprefix(f"{name}/").removesuffix(self.tail)
                if path == f"{name}/{record_id}{self.tail}" and "/" not in record_id:
                    return self._record(method, collection, record_id, query, body)
        except RefusedError as error:
            return 400, {"message": str(error), "error": str(error)}, ""
        return 404, {"message": "no such address"}, ""

    def _collection(
        self, method: str, path: str, found: Collection, query: dict[str, str], body: Any
    ) -> tuple[int, Any, str]:
        if method == "POST":
            row = self._written(found, {}, body) | {"id": found.new_id(len(found.rows) + 1)}
            found.rows.append(row)
            return 201, found.item(row), ""
        known = {self.paged.parameter, self.paged.size_parameter, found.select, *found.filters}
        known |= found.sorting
        if unknown := query.keys() - known:
            raise RefusedError(f"unknown parameters: {', '.join(unknown)}")
        rows = found.rows
        for name in query.keys() & found.filters.keys():
            rows = [row for row in rows if found.filters[name](row, query[name])]
        rows = [found.shown(row, query) for row in found.ordered(rows, query)]
        document, link = self.paged.answer(f"{self.url}{path}", rows, query)
        return 200, document, link

    def _record(
        self, method: str, found: Collection, record_id: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any, str]:
        row = next((row for row in found.rows if str(row["id"]) == record_id), None)
        if row is None:
            return 404, {"message": "no such record"}, ""
        if query.keys() - {found.select}:
            raise RefusedError("unknown parameters")
        if method == "DELETE":
            found.rows.remove(row)
            return 204, None, ""
        if method == found.update:
            row.update(self._written(found, row, body))
        elif method != "GET":
            return 405, {"message": "no such method"}, ""
        return 200, found.item(found.shown(row, query)), ""

    def _written(self, found: Collection, row: Row, body: Any) -> Row:
        if not found.wrap:
            return dict(body)
        if set(body) != {found.wrap}:
            raise RefusedError(f"the body must have {found.wrap}")
        return {found.wrap: row.get(found.wrap, {}) | body[found.wrap]}


class _Handler(LoopbackHandler):
    def _serve(self) -> None:
        stub: RestStub = self.server.owner
        sent = json.loads(self.read_body() or b"null")
        status, document, link = stub.answer(self.command, self.path, sent)
        # Bytes: what no program would write as JSON.
        is_raw = isinstance(document, bytes)
        content = document if is_raw else b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if link:
            self.send_header("Link", link)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815
