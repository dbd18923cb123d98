"""Instances: the list, and the page of one with its state, its history and its actions."""

from functools import partial
from operator import itemgetter
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import ActionLocation
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _, gettext_lazy
from unfold.contrib.filters.admin import (
    AllValuesCheckboxFilter,
    AutocompleteSelectFilter,
    ChoicesCheckboxFilter,
)
from unfold.decorators import display

from instances.admin.instance_configuration import (
    choose_page,
    configure_page,
    reauthenticate_page,
)
from instances.admin.instance_confirmations import bulk_action
from instances.admin.instance_filters import (
    CauseFilter,
    QuestionFilter,
    StatusFilter,
    TagFilter,
    question_links,
    search_conditions,
    view_links,
)
from instances.admin.instance_forms import RenameForm
from instances.admin.instance_search import SEARCH_HELP, hide_token, search_page
from instances.admin.instance_status import status_in_list
from instances.admin.interactions import exchange_of
from instances.admin.keyset import KeysetAdmin
from instances.errors import InputError, StateConflictError
from instances.models import Instance
from instances.pages.actions import action_page
from instances.pages.admin_pages import render_page, secret_state
from instances.pages.forms import WAY_LABELS
from instances.pages.frames import ADMIN
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.actions import (
    ACTIONS,
    EDIT,
    LINK,
    Action,
    permitted_actions,
)
from instances.provisioning.status.audience import audiences_for
from instances.provisioning.status.explain import explain
from instances.provisioning.status.meaning import Status, annotate_status
from instances.provisioning.update import rename_instance
from instances.queries.cursor_pages import page_of

_State = Instance.State
STATE_COLOURS = {
    _State.DRAFT: "default",
    _State.AWAITING_AUTHORIZATION: "info",
    _State.PROVISIONING: "info",
    _State.CONNECTED: "success",
    _State.FAILED: "danger",
    _State.UNKNOWN: "warning",
    _State.NEEDS_REAUTHORIZATION: "warning",
    _State.DELETING: "warning",
    "disabled": "default",
}
TIMELINE_PAGE = 20


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
        ("element", AutocompleteSelectFilter),
        ("organization_user__organization", AutocompleteSelectFilter),
        ("element__hub", AllValuesCheckboxFilter),
    ]
    list_filter_submit = True
    list_disable_select_all = True
    search_fields = ["name"]
    search_help_text = SEARCH_HELP
    list_before_template = "admin/instances/questions.html"
    actions = [bulk_action(action) for action in ACTIONS.values() if action.verb]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Instance]:
        rows = super().get_queryset(request)
        visible = rows.listed_for(request.user).select_related(*self.list_select_related)
        return annotate_status(visible, at=timezone.now()).prefetch_related("tags")

    def search_conditions(self, text: str) -> list[Q]:
        return search_conditions(text)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        links = {"views": view_links(request), "questions": question_links(request)}
        context = {**links, **(extra_context or {})}
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

    @display(description=gettext_lazy("state"), label=STATE_COLOURS)
    def state_label(self, instance: Instance) -> tuple[str, str]:
        return instance.shown_state

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
                "<int:object_id>/actions/reauthenticate/",
                wrap(partial(reauthenticate_page, self)),
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
        instance = self.visible_object(request, object_id)
        may_change = self.has_change_permission(request, instance)
        if request.method == "POST" and not may_change:
            raise PermissionDenied
        form = RenameForm(
            request.POST if request.method == "POST" else None,
            initial={"name": instance.name, "tags": ", ".join(instance.tag_names)},
        )
        if form.is_valid() and self._rename(request, instance, form):
            return redirect("admin:instances_instance_change", instance.pk)
        context = {"form": form, "may_change": may_change, **self._page_context(request, instance)}
        return render_page(self, request, "instance.html", context)

    def _rename(self, request: HttpRequest, instance: Instance, form: RenameForm) -> bool:
        try:
            rename_instance(instance, **form.changes)
        except (InputError, StateConflictError) as refusal:
            form.add_error(None, str(refusal))
            return False
        self.log_change(request, instance, _("Changed the name or tags."))
        messages.success(request, _("The name and tags of %s were saved.") % instance.name)
        return True

    def _page_context(self, request: HttpRequest, instance: Instance) -> dict[str, Any]:
        explanation = explain(instance, audiences_for(request.user)(instance))
        offered = permitted_actions(instance, request.user)
        remedy = explanation.action if explanation else None
        buttons = [_button(action, instance) for action in offered if action not in {EDIT, remedy}]
        position = request.GET.get("page", "")
        timeline = page_of(instance.interactions.all(), position, size=TIMELINE_PAGE)
        return {
            "title": instance.name,
            "original": instance,
            "state": self.state_label(instance),
            "state_colour": STATE_COLOURS[self.state_label(instance)[0]],
            "explanation": explanation,
            "next_step": _button(remedy, instance) if remedy in offered else None,
            "buttons": sorted(buttons, key=itemgetter("is_destructive")),
            "facts": facts_of(instance),
            "configuration": configuration_of(instance),
            "state_changes": instance.state_changes.all()[:TIMELINE_PAGE],
            "timeline": timeline,
            "exchanges": [exchange_of(interaction) for interaction in timeline.rows],
        }


def facts_of(instance: Instance) -> list[tuple[str, Any]]:
    organization = instance.organization
    way = WAY_LABELS.get(instance.authentication_type, instance.authentication_type)
    return [
        (_("Element"), instance.element),
        (_("Organization user"), instance.organization_user),
        (_("Platform"), organization.platform_url or _("Embedded")),
        (_("Authentication"), way),
        (_("Element token"), secret_state(instance, "token")),
        (_("Provider tokens"), secret_state(instance, "tokens")),
        (_("Scopes not granted"), ", ".join(instance.missing_scopes) or None),
        (_("Access token expires"), instance.expires_at),
        (_("Next refresh"), instance.next_refresh_at),
        (_("Refresh status"), refresh_status(instance)),
        (_("Verified"), instance.verified_at),
        (_("Last checked"), instance.last_checked_at),
        (_("Last success"), instance.last_succeeded_at),
        (_("Next check"), instance.next_check_at),
        (_("Consecutive failures"), instance.consecutive_failures),
        (_("Created"), instance.created_at),
        (_("ID"), str(instance.pk)),
        (_("ID on the remote platform"), instance.remote_id and str(instance.remote_id)),
        (_("UID"), instance.uid),
    ]


def refresh_status(instance: Instance) -> str | None:
    """Say whether a refresh is in progress, lost its response, or failed, and how often in a row."""
    if not instance.tokens:
        return None
    is_in_progress = bool(instance.leased_until and instance.leased_until > timezone.now())
    if instance.refresh_started_at and is_in_progress:
        return _("In progress since %s.") % date_format(instance.refresh_started_at, "H:i:s")
    if instance.refresh_started_at:
        return _("The last response was lost. The refresh token will be tried once more.")
    failures = instance.refresh_failures + instance.refresh_refusals
    return _("Failed %d times in a row.") % failures if failures else _("No failures.")


def configuration_of(instance: Instance) -> list[tuple[str, str]]:
    """Return the configuration with a mask in place of each secret."""
    masked = dict.fromkeys(instance.secret_keys, secret_state(instance, "secret_configuration"))
    return sorted({**instance.configuration, **masked}.items())


def _button(action: Action, instance: Instance) -> dict[str, Any]:
    url = reverse("make_link", args=[instance.pk]) if action is LINK else None
    return {
        "label": action.label,
        "url": url or ADMIN.action_url(action, instance),
        "is_destructive": action.is_destructive,
    }
