"""My connections: the list with states, the page of a connection with its timeline, and its name and tags."""

from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from instances.errors import InputError, StateConflictError
from instances.models import Element, Instance, OrganizationUser
from instances.models.organizations import inline_ids
from instances.pages.actions import action_page
from instances.pages.forms import WAY_LABELS, RenameForm
from instances.pages.frames import SELF_SERVICE, permitted_instance, signed_in_user
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.actions import permitted_actions
from instances.provisioning.status.audience import audiences_for
from instances.provisioning.status.explain import explain
from instances.provisioning.status.meaning import facts_of, meaning_of
from instances.provisioning.update import rename_instance
from instances.queries.cursor_pages import EVERY, Order, page_of
from instances.selfservice.pages import query_parameter, self_service

PER_PAGE = 25
TIMELINE_EVENTS = 40
BY_PLACE = Order({"place": str, "pk": int})


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline: a state change, or an exchange with the provider."""

    at: datetime
    what: str
    who: str
    why: str
    is_failure: bool = False


@self_service
@require_safe
def connections(request: HttpRequest) -> HttpResponse:
    """List connections, those that need attention first."""
    user = signed_in_user(request)
    if not user.has_perm("instances.view_instance"):
        return render(request, "instances/connect/no_role.html", status=403)
    query = query_parameter(request, "q")
    rows = Instance.objects.listed_for(user).with_place().with_links()
    related = rows.select_related("element", "organization_user__organization", "cause_interaction")
    page = page_of(
        related,
        request.GET.get("page", ""),
        size=PER_PAGE,
        order=BY_PLACE,
        any_of=_search_conditions(query) if query else EVERY,
    )
    audience_of = audiences_for(user)
    may_add = user.has_perm("instances.add_instance")
    may_connect = may_add and OrganizationUser.objects.operated_by(user).exists()
    context = {
        "query": query,
        "page": page,
        "rows": [
            (
                instance,
                explain(instance, audience_of(instance)),
                meaning_of(facts_of(instance)).status,
            )
            for instance in page.rows
        ],
        "may_connect": may_connect,
        "lacks_owner": may_add and not may_connect,
    }
    return render(request, "instances/connect/connections.html", context)


def _search_conditions(text: str) -> list[Q]:
    """Search by prefix of name, part of the service's name, or whole tag. Each condition uses an index."""
    elements = Element.objects.filter(name__icontains=text)
    return [
        Q(name__istartswith=text),
        Q(element__in=inline_ids(elements)),
        Q(pk__in=Instance.objects.with_tag(text).order_by().values("pk")),
    ]


@self_service
@require_safe
def connection(request: HttpRequest, pk: int) -> HttpResponse:
    instance = permitted_instance(request, pk, InstancePermission.VIEW)
    user = signed_in_user(request)
    may_change = is_permitted(user, instance, InstancePermission.CHANGE)
    offered = permitted_actions(instance, user)
    explanation = explain(instance, audiences_for(user)(instance))
    remedy = explanation.action if explanation else None
    links = instance.links.with_status().select_related("made_by")[:PER_PAGE]
    context = {
        "instance": instance,
        "explanation": explanation,
        "frame": SELF_SERVICE,
        "remedy": remedy if remedy in offered else None,
        "actions": [action for action in offered if action is not remedy],
        "way": WAY_LABELS.get(instance.authentication_type, instance.authentication_type),
        "events": _timeline(instance, has_exchanges=user.has_perm("instances.view_interaction")),
        "may_change": may_change,
        "links": links if may_change else [],
    }
    return render(request, "instances/connect/connection.html", context)


@self_service
def action(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    return action_page(request, pk, name, frame=SELF_SERVICE)


@self_service
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the name and tags, without contacting the provider."""
    instance = permitted_instance(request, pk, InstancePermission.CHANGE)
    stored = {"name": instance.name, "tags": ", ".join(instance.tag_names)}
    form = RenameForm(request.POST if request.method == "POST" else None, initial=stored)
    if form.is_valid() and _rename(instance, form):
        messages.success(request, _("The name and tags of %s were saved.") % instance.name)
        return redirect("connection", pk)
    return render(request, "instances/connect/edit.html", {"instance": instance, "form": form})


def _rename(instance: Instance, form: RenameForm) -> bool:
    try:
        rename_instance(instance, **form.changes)
    except (InputError, StateConflictError) as refusal:
        form.add_error(None, str(refusal))
        return False
    return True


def _timeline(instance: Instance, *, has_exchanges: bool) -> list[Event]:
    """Return state changes and exchanges, latest first."""
    changes = [
        Event(change.at, change.get_to_state_display(), change.actor, change.reason)
        for change in instance.state_changes.all()[:TIMELINE_EVENTS]
    ]
    exchanges = [
        Event(
            interaction.started_at,
            interaction.operation,
            interaction.actor,
            interaction.error or (_("HTTP %d") % interaction.status if interaction.status else ""),
            interaction.is_failure,
        )
        for interaction in (instance.interactions.all()[:TIMELINE_EVENTS] if has_exchanges else [])
    ]
    latest = sorted([*changes, *exchanges], key=attrgetter("at"), reverse=True)
    return latest[:TIMELINE_EVENTS]
