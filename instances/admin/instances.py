"""Instances: the list, and where its pages are."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ActionLocation
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _, gettext_lazy
from unfold.contrib.filters.admin import (
    AllValuesCheckboxFilter,
    ChoicesCheckboxFilter,
)
from unfold.decorators import display

from instances.admin.instance_configuration import choose_page, configure_page
from instances.admin.instance_confirmations import bulk_action
from instances.admin.instance_filters import (
    AccountFilter,
    CauseFilter,
    OAuthAppFilter,
    QuestionFilter,
    StatusFilter,
    TagFilter,
    question_links,
    search_conditions,
    view_links,
)
from instances.admin.instance_search import SEARCH_HELP, hide_token, search_page
from instances.admin.instance_status import status_in_list
from instances.admin.keyset import KeysetAdmin
from instances.models import Instance
from instances.pages.actions import action_page
from instances.pages.frames import ADMIN
from instances.pages.instance import instance_page
from instances.pages.links import revoke_page
from instances.pages.reach import SelectFilter
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.actions import ACTIONS, CHECK
from instances.provisioning.status.meaning import Status, annotate_status


@admin.register(Instance)
class InstanceAdmin(KeysetAdmin):
    list_display = [
        "name",
        "status",
        "element",
        "organization_user",
        "tag_list",
        "last_checked_at",
    ]
    list_select_related = ["element", "organization_user__organization"]
    list_filter = [
        QuestionFilter,
        StatusFilter,
        ("state", ChoicesCheckboxFilter),
        CauseFilter,
        TagFilter,
        AccountFilter,
        OAuthAppFilter,
        ("element", SelectFilter),
        ("organization_user__organization", SelectFilter),
        ("element__hub", AllValuesCheckboxFilter),
    ]
    list_filter_submit = True
    list_disable_select_all = True
    search_fields = ["name"]
    search_help_text = SEARCH_HELP
    # The list shows the first ones as buttons.
    actions = [
        bulk_action(action)
        for action in sorted(ACTIONS.values(), key=lambda action: action is not CHECK)
        if action.verb
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Instance]:
        rows = super().get_queryset(request)
        visible = rows.listed_for(request.user).select_related(*self.list_select_related)
        return annotate_status(visible, at=timezone.now()).prefetch_related("tags")

    def search_conditions(self, text: str) -> list[Q]:
        return search_conditions(text)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {
            "views": view_links(request),
            "questions": question_links(request),
            "add_label": _("Connect an account"),
            **(extra_context or {}),
        }
        return hide_token(request) or super().changelist_view(request, context)

    def has_change_permission(self, request: HttpRequest, obj: Instance | None = None) -> bool:
        return super().has_change_permission(request, obj) and (
            obj is None or is_permitted(request.user, obj, InstancePermission.CHANGE)
        )

    def get_actions(
        self, request: HttpRequest, action_location: ActionLocation = ActionLocation.CHANGE_LIST
    ) -> dict[str, Any]:
        """Leave out Django's own deletion, which deletes a row without telling its platform."""
        actions = super().get_actions(request, action_location)
        actions.pop("delete_selected", None)
        return actions

    @admin.display(description=gettext_lazy("status"))
    def status(self, instance: Any) -> str:
        """Show the cause in place of a bare status, who must act, and since when."""
        return status_in_list(instance, Status(instance.shown_status))

    @display(description=gettext_lazy("tags"))
    def tag_list(self, instance: Instance) -> str:
        return ", ".join(instance.tag_names)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path(
                "search/",
                wrap(partial(search_page, self)),
                name="instances_instance_search",
            ),
            path(
                "add/<int:user_id>/<int:element_id>/",
                wrap(partial(configure_page, self)),
                name="instances_instance_configure",
            ),
            path(
                "links/<int:pk>/revoke/",
                wrap(partial(revoke_page, frame=ADMIN)),
                name="instances_instance_revoke_link",
            ),
            path(
                "<int:pk>/actions/<slug:name>/",
                wrap(partial(action_page, frame=ADMIN)),
                name="instances_instance_action",
            ),
        ]
        return [*own, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return choose_page(self, request)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        return redirect("admin:instances_instance_action", object_id, "delete")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        return instance_page(request, int(object_id), frame=ADMIN)
