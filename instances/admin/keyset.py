"""Lists that are read from a row on, newest first, and never counted: the last page costs what the first does.

A page is named by the row that it begins after (older ones) or before (newer ones), so a row that is added meanwhile
moves nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

from instances.admin.pages import ModelAdmin

_POSITION = re.compile(r"(after|before)-(\d{1,18})")
_EVERY = (Q(),)


@dataclass(frozen=True, slots=True)
class Page[M: Model]:
    """newer and older: the positions of the pages beside it; None where there is none."""

    rows: list[M]
    newer: str | None
    older: str | None


def page_of[M: Model](
    rows: QuerySet[M], position: str, *, size: int, any_of: Sequence[Q] = _EVERY
) -> Page[M]:
    """The rows at this position that meet one of the conditions; the newest ones where it is no position.

    Each condition is a query of its own: each has an index, which one query that asks for any of them would not use.
    """
    match = _POSITION.fullmatch(position)
    way, pk = (match[1], int(match[2])) if match else ("", 0)
    bound = {"after": Q(pk__lt=pk), "before": Q(pk__gt=pk)}.get(way, Q())
    order = "pk" if way == "before" else "-pk"
    found = _nearest(rows.filter(bound), order, size + 1, any_of)
    has_more = len(found) > size
    if way == "before" and not has_more:
        return page_of(rows, "", size=size, any_of=any_of)
    shown = sorted(found[:size], key=lambda row: row.pk, reverse=True)
    newer = (f"before-{shown[0].pk}" if shown else "newest") if way else None
    older = f"after-{shown[-1].pk}" if has_more or way == "before" else None
    return Page(shown, newer, older)


def _nearest[M: Model](rows: QuerySet[M], order: str, count: int, any_of: Sequence[Q]) -> list[M]:
    if len(any_of) == 1:
        return list(rows.filter(any_of[0]).order_by(order)[:count])
    keys: set[Any] = set()
    for condition in any_of:
        keys.update(rows.filter(condition).order_by(order).values_list("pk", flat=True)[:count])
    return list(rows.filter(pk__in=keys).order_by(order)[:count])


class KeysetPaginator(Paginator[Any]):
    """Stands where Django expects one: the list's own template has the two links."""

    template_name = "admin/instances/pages.html"


class KeysetChangeList(ChangeList):
    """Django's list of a model, paged by key. It is always newest first: any other order would need an index for it."""

    query: str

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Without the search, which get_results() makes."""
        query, self.query = self.query, ""
        try:
            return super().get_queryset(request, exclude_parameters)
        finally:
            self.query = query

    def get_results(self, request: HttpRequest) -> None:
        any_of = self.model_admin.search_conditions(self.query.strip()) if self.query else _EVERY
        page = page_of(
            self.queryset, request.GET.get(PAGE_VAR, ""), size=self.list_per_page, any_of=any_of
        )
        self.result_list = page.rows
        self.result_count = len(page.rows)
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = True
        self.paginator = KeysetPaginator(page.rows, self.list_per_page)
        self.newer_url = page.newer and self.get_query_string({PAGE_VAR: page.newer})
        self.older_url = page.older and self.get_query_string({PAGE_VAR: page.older})


class KeysetAdmin(ModelAdmin):
    """A list of a table that grows without end."""

    show_facets = ShowFacets.NEVER
    sortable_by: list[str] = []
    show_full_result_count = False
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def search_conditions(self, text: str) -> Sequence[Q]:
        """In which ways a row can be what is searched for; each of them has an index. Without any, none is found."""
        return ()
