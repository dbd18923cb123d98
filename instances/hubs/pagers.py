"""Pages of lists, as the element's file says that its provider divides them (contract for hubs, 6 and 14.1).

Pages do not overlap and leave nothing out: two pages of 10 records are one of 20. A provider that only leads from one
page to the next is asked for all records up to a page that a caller names by its number.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from instances.catalogue.hub_api import Paging
from instances.errors import HubCallRefusedError, InvalidCallError, UnusableAnswerError
from instances.hubs.links import linked
from instances.hubs.list_query import ListQuery
from instances.hubs.session import Answer, HubSession, value_at
from instances.hubs.vendor import ListPage, Position

# Of a cursor or link, which becomes part of a page token.
_MAX_NEXT_CHARACTERS = 4096
# For one page.
_MAX_REQUESTS = 10


@dataclass(frozen=True, slots=True)
class SentPage:
    """What a provider sent. target: what was asked."""

    target: str
    answer: Answer
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ProviderList:
    """A list of a provider. path: below the base URL. parameters: of the query, without those of the page."""

    session: HubSession
    path: str
    parameters: Mapping[str, str]
    list_at: str

    @property
    def paging(self) -> Paging:
        return self.session.api.paging

    def ask(self, page: Mapping[str, str]) -> SentPage:
        """Ask with the parameters of a page; one without a name in the element's file is left out."""
        given = {**self.parameters, **{name: text for name, text in page.items() if name}}
        query = urlencode(given, quote_via=quote, safe=",")
        return self.follow(f"{self.path}?{query}" if query else self.path)

    def follow(self, target: str) -> SentPage:
        answer = self.session.send("GET", target)
        document = answer.document
        rows = value_at(document, self.list_at) if self.list_at else document
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.unusable("a response that could not be understood")
        return SentPage(target, answer, rows)

    def unusable(self, what: str) -> UnusableAnswerError:
        return UnusableAnswerError(f"{self.session.provider} sent {what}.")

    def total(self, sent: SentPage) -> int | None:
        place = self.session.api.total_at
        total = value_at(sent.answer.document, place) if place else None
        is_number = isinstance(total, int) and not isinstance(total, bool) and total >= 0
        return total if is_number else None


def list_page(source: ProviderList, query: ListQuery, position: Position) -> ListPage:
    """Ask for one page. Raises InvalidCallError if it cannot be reached, and what HubSession.send() raises."""
    return _PAGERS[str(source.paging.style)](source).page(query, position)


class _Pager(ABC):
    def __init__(self, source: ProviderList) -> None:
        self._source = source
        self._paging = source.paging

    @abstractmethod
    def page(self, query: ListQuery, position: Position) -> ListPage: ...


class _NumberedPages(_Pager):
    """Pages that can be asked for by themselves. A position is {"offset": number of records before it}."""

    def page(self, query: ListQuery, position: Position) -> ListPage:
        size = query.page_size
        offset = int(position.get("offset", (query.page - 1) * size))
        sent = self._ask_beyond(offset, size)
        if sent is None:
            return ListPage([], next_position=None, total=None)
        if len(sent.rows) > size:
            raise self._source.unusable("more records than were asked for")
        end = self._end(offset, size, sent)
        has_next = end > offset and self._has_next(sent, end, size)
        return ListPage(
            sent.rows,
            next_position={"offset": end} if has_next else None,
            total=self._source.total(sent),
        )

    def _ask(self, offset: int, size: int) -> SentPage:
        number = str(self._number(offset, size))
        return self._source.ask(
            {self._paging.parameter: number, self._paging.size_parameter: str(size)}
        )

    def _ask_beyond(self, offset: int, size: int) -> SentPage | None:
        """Ask for a page that may lie beyond the end; None if it does.

        Some providers then answer 404 instead of an empty list. The first record tells it from a list that does not
        exist.
        """
        try:
            return self._ask(offset, size)
        except HubCallRefusedError as error:
            if error.http_status != HTTPStatus.NOT_FOUND or not offset:
                raise
        self._ask(0, 1)
        return None

    @abstractmethod
    def _number(self, offset: int, size: int) -> int: ...

    @abstractmethod
    def _end(self, offset: int, size: int, sent: SentPage) -> int: ...

    def _has_next(self, sent: SentPage, end: int, size: int) -> bool:
        if self._paging.more_at:
            return bool(value_at(sent.answer.document, self._paging.more_at))
        # A full page may be the last one, and the last one has no token: look for the record after it.
        following = self._ask_beyond(end, 1) if len(sent.rows) == size else None
        return bool(following and following.rows)


class _Offsets(_NumberedPages):
    def _number(self, offset: int, size: int) -> int:
        return offset

    def _end(self, offset: int, size: int, sent: SentPage) -> int:
        # Some providers send fewer records than were asked for, although there are more.
        return offset + len(sent.rows)


class _PageNumbers(_NumberedPages):
    def _number(self, offset: int, size: int) -> int:
        return self._paging.first + offset // size

    def _end(self, offset: int, size: int, sent: SentPage) -> int:
        return offset + size


class _ChainedPages(_Pager):
    """Pages that lead from one to the next.

    A position is {"at": what leads to a page of the provider, "size": of that page, "skip": its records that earlier
    pages had}. at: None for the first page.
    """

    def page(self, query: ListQuery, position: Position) -> ListPage:
        size = int(position.get("size", query.page * query.page_size))
        skip = int(position.get("skip", size - query.page_size))
        if size > self._paging.max:
            raise InvalidCallError(
                f"page {query.page} of {query.page_size} is beyond the first {self._paging.max} records; use nextPage"
            )
        at, rows, total = position.get("at"), list[dict[str, Any]](), None
        # Some providers send fewer records than were asked for, although there are more.
        for _ in range(_MAX_REQUESTS):
            sent = self._ask(at, size)
            total = self._source.total(sent) if total is None else total
            end = skip + query.page_size - len(rows)
            rows += sent.rows[skip:end]
            if len(sent.rows) > end:
                return ListPage(
                    rows, next_position={"at": at, "size": size, "skip": end}, total=total
                )
            following = self._following(sent)
            if following is None:
                return ListPage(rows, next_position=None, total=total)
            if following == at:
                raise self._source.unusable("the same page as the next one")
            at, size, skip = following, query.page_size, max(0, skip - len(sent.rows))
            if len(rows) == query.page_size:
                break
        return ListPage(rows, next_position={"at": at, "size": size, "skip": skip}, total=total)

    @abstractmethod
    def _ask(self, at: Any, size: int) -> SentPage: ...

    @abstractmethod
    def _following(self, sent: SentPage) -> str | None:
        """Return what leads to the provider's next page; None if this is the last one."""


class _Cursors(_ChainedPages):
    def _ask(self, at: Any, size: int) -> SentPage:
        page = {} if at is None else {self._paging.parameter: str(at)}
        return self._source.ask(page | {self._paging.size_parameter: str(size)})

    def _following(self, sent: SentPage) -> str | None:
        document = sent.answer.document
        if self._paging.more_at and not value_at(document, self._paging.more_at):
            return None
        cursor = value_at(document, self._paging.next_at)
        if not cursor:
            return None
        if not isinstance(cursor, str | int) or len(str(cursor)) > _MAX_NEXT_CHARACTERS:
            raise self._source.unusable("a cursor of the next page that could not be understood")
        return str(cursor)


class _Links(_ChainedPages):
    def _ask(self, at: Any, size: int) -> SentPage:
        if at is not None:
            return self._source.follow(str(at))
        return self._source.ask({self._paging.size_parameter: str(size)})

    def _following(self, sent: SentPage) -> str | None:
        link = self._link(sent)
        if not link:
            return None
        session = self._source.session
        address = _address_of(link, f"{session.base_url}/{sent.target}")
        if not address:
            raise self._source.unusable("a link to the next page that could not be understood")
        return session.target_of_link(address)

    @abstractmethod
    def _link(self, sent: SentPage) -> Any: ...


class _NextLinks(_Links):
    def _link(self, sent: SentPage) -> Any:
        return value_at(sent.answer.document, self._paging.next_at)


class _LinkHeaders(_Links):
    def _link(self, sent: SentPage) -> Any:
        return linked(sent.answer.headers.get("Link", ""), "next")


def _address_of(link: Any, base: str) -> str:
    """Return the address that a link leads to; empty if it is none. base: the address of the page with the link."""
    if not isinstance(link, str) or len(link) > _MAX_NEXT_CHARACTERS:
        return ""
    try:
        return urljoin(base, link)
    except ValueError:
        return ""


_PAGERS: Mapping[str, type[_Pager]] = {
    "next_link": _NextLinks,
    "link_header": _LinkHeaders,
    "cursor": _Cursors,
    "page": _PageNumbers,
    "offset": _Offsets,
}
