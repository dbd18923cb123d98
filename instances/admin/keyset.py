"""Lists of large tables, paginated by key (cursor pages)."""

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

from instances.pages.admin_pages import ModelAdmin
from instances.queries.cursor_pages import EVERY, page_of


class KeysetPaginator(Paginator[Any]):
    """A paginator for Django's list. Its template has links to newer and older rows only."""

    template_name = "admin/instances/pages.html"


class KeysetChangeList(ChangeList):
    """Django's list, paginated by key and always newest first. Any other order would need its own index."""

    query: str

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Return the rows without the search, which get_results() adds."""
        query, self.query = self.query, ""
        try:
            return super().get_queryset(request, exclude_parameters)
        finally:
            self.query = query

    def get_results(self, request: HttpRequest) -> None:
        any_of = self.model_admin.search_conditions(self.query.strip()) if self.query else EVERY
        page = page_of(
            self.queryset, request.GET.get(PAGE_VAR, ""), size=self.list_per_page, any_of=any_of
        )
        self.result_list = page.rows
        self.result_count = len(page.rows)
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = True
        self.paginator = KeysetPaginator(page.rows, self.list_per_page)
        self.newer_url = page.previous and self.get_query_string({PAGE_VAR: page.previous})
        self.older_url = page.next and self.get_query_string({PAGE_VAR: page.next})


class KeysetAdmin(ModelAdmin):
    """The admin of a large table."""

    show_facets = ShowFacets.NEVER
    sortable_by: list[str] = []
    show_full_result_count = False
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def search_conditions(self, text: str) -> Sequence[Q]:
        """Return conditions of which a row must meet one. Each needs an index. Without any, nothing is found."""
        return ()
