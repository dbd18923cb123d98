"""Elements: the catalogue. Files change it, uploaded here or loaded by the sync_elements command."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.formats import localize
from django.utils.translation import gettext as _, gettext_lazy
from unfold.contrib.filters.admin import AllValuesCheckboxFilter, ChoicesCheckboxFilter

from instances.admin.element_files import upload_page
from instances.admin.element_offers import offer_page, offered_to
from instances.admin.fleet import list_url
from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.hub_api import HubApi
from instances.catalogue.refresh_tokens import Rotation
from instances.models import Element, Instance, Organization
from instances.models.elements import ElementQuerySet
from instances.pages.admin_pages import ModelAdmin, render_page
from instances.pages.availability import element_notices, way_notices
from instances.pages.forms import WAY_LABELS

_ENDPOINTS = {
    "authorization_endpoint": gettext_lazy("Authorization endpoint"),
    "token_endpoint": gettext_lazy("Token endpoint"),
    "refresh_endpoint": gettext_lazy("Refresh endpoint"),
    "revocation_endpoint": gettext_lazy("Revocation endpoint"),
    "request_token_endpoint": gettext_lazy("Request token endpoint"),
}


_COLUMNS = (
    gettext_lazy("Configuration key"),
    gettext_lazy("Label"),
    gettext_lazy("Type"),
    gettext_lazy("Required"),
    gettext_lazy("Secret"),
    gettext_lazy("Default"),
)

_RESOURCE_COLUMNS = (
    gettext_lazy("Resource"),
    gettext_lazy("Object at the provider"),
    gettext_lazy("Possible calls"),
    gettext_lazy("Child records"),
)


@admin.register(Element)
class ElementAdmin(ModelAdmin):
    list_display = ["key", "name", "hub", "ways", "source", "status", "is_active", "instance_count"]
    list_filter = [
        ("hub", AllValuesCheckboxFilter),
        ("source", ChoicesCheckboxFilter),
        ("status", ChoicesCheckboxFilter),
        "is_active",
    ]
    list_filter_submit = True
    list_per_page = 50
    search_fields = ["key", "name", "hub"]
    ordering = ["name", "key"]
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether the user may upload files, which add elements and change them. No role allows it."""
        may_add: bool = super().has_add_permission(request)
        return may_add and self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Element | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Element]:
        """Select all elements for those who may change them; for others what is offered to their organizations."""
        rows = super().get_queryset(request).annotate(instance_count=Count("instances"))
        if self.has_change_permission(request):
            return rows
        return rows.offered_to(Organization.objects.visible_to(request.user))

    def get_search_results(
        self, request: HttpRequest, queryset: ElementQuerySet, search_term: str
    ) -> tuple[ElementQuerySet, bool]:
        """Offer only active elements in autocompletes, and for new instances none that is retired."""
        if request.path.endswith("/autocomplete/"):
            is_new_instance = request.GET.get("model_name") == "instance"
            queryset = queryset.connectable() if is_new_instance else queryset.active()
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=gettext_lazy("authentication"))
    def ways(self, element: Element) -> str:
        kinds = [way["type"] for way in element.definition["authentication"]]
        return ", ".join(str(WAY_LABELS[kind]) for kind in kinds)

    @admin.display(description=gettext_lazy("instances"), ordering="instance_count")
    def instance_count(self, element: Any) -> int:
        count: int = element.instance_count
        return count

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return upload_page(self, request)

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<int:object_id>/organizations/",
            self.admin_site.admin_view(partial(offer_page, self)),
            name="instances_element_organizations",
        )
        return [own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        element = self.visible_object(request, object_id)
        may_switch = element.source == Element.Source.OWN and self.has_change_permission(request)
        if request.method == "POST":
            if not may_switch:
                raise PermissionDenied
            return self._switch(request, element)
        context = {
            "title": element.name,
            "original": element,
            "may_switch": may_switch,
            "may_upload": self.has_add_permission(request),
            "may_offer": self.has_change_permission(request),
            "notices": element_notices(element.parsed),
            "facts": _facts_of(element, request),
            "columns": [str(column) for column in _COLUMNS],
            "ways": [_describe(element, way) for way in element.parsed.authentication],
            "resource_columns": [str(column) for column in _RESOURCE_COLUMNS],
            "resources": _resources_of(element.parsed.hub_api),
            "has_any_object": bool(element.parsed.hub_api and element.parsed.hub_api.any_object),
        }
        return render_page(self, request, "element.html", context)

    def _switch(self, request: HttpRequest, element: Element) -> HttpResponse:
        element.is_active = not element.is_active
        element.save(update_fields=["is_active"])
        template = _("%s was activated.") if element.is_active else _("%s was deactivated.")
        self.message_user(request, template % element.name)
        self.log_change(request, element, template % element.name)
        return redirect("admin:instances_element_change", element.pk)


def _facts_of(element: Element, request: HttpRequest) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = [
        {"label": _("Key"), "value": element.key},
        {"label": _("ID"), "value": str(element.pk)},
        {"label": _("Hub"), "value": element.hub},
        {"label": _("Source"), "value": element.get_source_display()},
        {"label": _("Status"), "value": element.get_status_display()},
        {"label": _("Active"), "value": _("yes") if element.is_active else _("no")},
        {"label": _("May be used by"), "value": offered_to(element, request)},
    ]
    if request.user.has_perm("instances.view_instance"):
        visible = Instance.objects.listed_for(request.user).filter(element=element)
        url = list_url(element__id__exact=element.pk)
        facts.append({"label": _("Instances"), "value": localize(visible.count()), "url": url})
    return facts


def _describe(element: Element, way: AuthenticationType) -> dict[str, Any]:
    endpoints = [(title, getattr(way, name)) for name, title in _ENDPOINTS.items()]
    facts = [*endpoints, (_("Scope"), way.scope_separator.join(way.scopes))]
    if way.probe:
        facts.append((_("Checked with"), f"{way.probe.method} {way.probe.url}"))
    if way.lookup:
        names, request = (
            ", ".join(sorted(way.lookup.values)),
            f"{way.lookup.method} {way.lookup.url}",
        )
        facts.append((_("Looked up"), f"{names}: {request}"))
    facts.append((_("Refresh tokens"), _refresh_tokens_of(way)))
    return {
        "label": WAY_LABELS[way.type],
        "way": way,
        "notices": way_notices(way, element.name),
        "facts": [{"label": label, "value": value} for label, value in facts if value],
        "rows": [_row_of(field) for field in way.fields],
    }


def _refresh_tokens_of(way: AuthenticationType) -> str:
    """Say what is known of how long they work, as sentences."""
    idle, most = way.refresh_token_idle_days, way.refresh_token_max_days
    rotations = {
        Rotation.NONE: _("A refresh does not replace them."),
        Rotation.ROTATING: _("Each refresh replaces them."),
    }
    sentences = [
        _("They end after %d days without use.") % idle if idle else "",
        _("They end %d days after the consent.") % most if most else "",
        rotations[way.refresh_token_rotation] if way.refresh_token_rotation else "",
    ]
    return " ".join(filter(None, sentences))


def _resources_of(api: HubApi | None) -> list[list[dict[str, Any]]]:
    """Return the rows of the table of resources."""
    if api is None:
        return []
    verbs = {"create": _("create"), "update": _("update"), "delete": _("delete")}
    rows = []
    for name, resource in sorted(api.resources.items()):
        calls = [_("read"), *(label for verb, label in verbs.items() if getattr(resource, verb))]
        children = [
            pair.partition("/")[2] for pair in api.children if pair.startswith((f"{name}/", "*/"))
        ]
        values = [name, resource.object, ", ".join(calls), ", ".join(children)]
        rows.append(_cells(_RESOURCE_COLUMNS, values))
    return rows


def _cells(columns: Iterable[Any], values: Iterable[Any]) -> list[dict[str, Any]]:
    return [{"text": value, "label": column} for column, value in zip(columns, values, strict=True)]


def _row_of(field: Any) -> list[dict[str, Any]]:
    values = [
        field.key,
        field.label,
        field.type,
        _("yes") if field.required else _("no"),
        _("yes") if field.secret else _("no"),
        field.default or "",
    ]
    return _cells(_COLUMNS, values)
