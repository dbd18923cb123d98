"""The admin's lists of tables that grow without end, in pages by key."""

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
