"""The catalogue, and the page that connects an account of one of its elements."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from instances.catalogue.definition import AuthenticationType
from instances.errors import (
    InputError,
    InvalidConfigurationError,
    PermissionRefusedError,
    UnreadableSecretError,
)
from instances.models import Element, ElementRequest, Instance, Organization, OrganizationUser
from instances.pages.confirm import carry_out
from instances.pages.forms import WAY_LABELS, NewInstanceForm, split_tags
from instances.pages.frames import SELF_SERVICE, signed_in_user
from instances.provisioning.access.element_requests import ready_elements, request_element
from instances.provisioning.actions import AUTHORIZE, PROVISION
from instances.provisioning.create import create_draft
from instances.provisioning.plan import has_oauth_app
from instances.provisioning.status.audience import audiences_for
from instances.provisioning.status.explain import Explanation, explain
from instances.selfservice.pages import query_parameter, self_service

# A search finds the others.
MAX_NOT_READY = 24
MAX_BROKEN = 3


@self_service
@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """List the user's broken connections, then what can be connected now, then what an operator must set up."""
    user = signed_in_user(request)
    query, hub = query_parameter(request, "q"), query_parameter(request, "hub")
    elements = Element.objects.active().defer("definition")
    hubs = elements.order_by("hub").values_list("hub", flat=True).distinct()
    if query:
        elements = elements.filter(Q(name__icontains=query) | Q(key__icontains=query))
    if hub:
        elements = elements.filter(hub=hub)
    owners = OrganizationUser.objects.operated_by(user)
    organizations = Organization.objects.filter(pk__in=owners.values("organization"))
    ready = ready_elements(organizations)
    requests = ElementRequest.objects.filter(organization__in=organizations)
    requested = dict(requests.values_list("element", "created_at"))
    not_ready = [element for element in elements if element.pk not in ready]
    context = {
        "query": query,
        "hub": hub,
        "hubs": hubs,
        "may_connect": user.has_perm("instances.add_instance") and organizations.exists(),
        "broken": [] if query or hub else _own_broken(user),
        "ready": [element for element in elements if element.pk in ready],
        "not_ready": [
            (element, requested.get(element.pk)) for element in not_ready[:MAX_NOT_READY]
        ],
        "not_shown": max(0, len(not_ready) - MAX_NOT_READY),
    }
    return render(request, "instances/connect/catalogue.html", context)


def _own_broken(user: User) -> list[tuple[Instance, Explanation | None]]:
    """Return some of the user's own connections that someone must repair, with the reason."""
    rows = Instance.objects.visible_to(user).filter(
        organization_user__user=user,
        state__in=[Instance.State.NEEDS_REAUTHORIZATION, Instance.State.FAILED],
    )
    shown = rows.with_links().select_related(
        "element", "organization_user__organization", "cause_interaction"
    )[:MAX_BROKEN]
    audience_of = audiences_for(user)
    return [(instance, explain(instance, audience_of(instance))) for instance in shown]


@self_service
@require_POST
def request_set_up(request: HttpRequest, key: str) -> HttpResponse:
    """Ask the operators for an element that needs an OAuth app."""
    element = get_object_or_404(Element.objects.active(), key=key)
    try:
        request_element(element, user=signed_in_user(request))
    except PermissionRefusedError:
        raise PermissionDenied from None
    except InputError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(
            request,
            _("Your operators see that you need %s. Look here again in a few days.") % element.name,
        )
    return redirect("catalogue")


@self_service
def connect(request: HttpRequest, key: str) -> HttpResponse:
    """Show the element's form and connect the account. With the organization's OAuth app it has few fields."""
    user = signed_in_user(request)
    if not user.has_perm("instances.add_instance"):
        raise PermissionDenied
    element = get_object_or_404(Element.objects.active(), key=key)
    owners = OrganizationUser.objects.operated_by(user).select_related("organization")
    owner = _owner(request, owners)
    if owner is None:
        choices = {"element": element, "owners": owners}
        return render(request, "instances/connect/choose_owner.html", choices)
    way = _way(request, element, owner)
    is_incomplete = "link" in request.POST
    form = NewInstanceForm(
        way,
        has_oauth_app=has_oauth_app(owner.organization, element, way),
        is_incomplete=is_incomplete,
        data=request.POST if request.method == "POST" else None,
    )
    if form.is_valid() and (instance := _create(request, owner, element, way, form)):
        if is_incomplete:
            return redirect("make_link", instance.pk)
        action = AUTHORIZE if way.needs_browser else PROVISION
        return carry_out(request, instance, action, frame=SELF_SERVICE)
    context: dict[str, Any] = {
        "element": element,
        "owner": owner,
        "form": form,
        "is_oauth": way.needs_browser,
        "ways": _ways(element, way, owner),
    }
    return render(request, "instances/connect/connect.html", context)


def _owner(request: HttpRequest, owners: QuerySet[OrganizationUser]) -> OrganizationUser | None:
    """Return the organization user. None if there is none, or if several exist and none was chosen."""
    chosen = request.GET.get("owner", "")
    if chosen.isdecimal():
        return get_object_or_404(owners, pk=int(chosen))
    first_two = owners[:2]
    return first_two[0] if len(first_two) == 1 else None


def _way(request: HttpRequest, element: Element, owner: OrganizationUser) -> AuthenticationType:
    """Return the chosen way of authentication. The default is OAuth if the organization has an OAuth app."""
    ways = element.parsed.authentication
    by_consent = next((way for way in ways if way.needs_browser), None)
    chosen = request.GET.get("way")
    if not chosen and by_consent and has_oauth_app(owner.organization, element, by_consent):
        return by_consent
    try:
        return element.parsed.authentication_type(chosen)
    except InvalidConfigurationError:
        raise Http404 from None


def _ways(
    element: Element, current: AuthenticationType, owner: OrganizationUser
) -> list[dict[str, object]]:
    return [
        {
            "label": WAY_LABELS[way.type],
            "url": "?" + urlencode({"way": str(way.type), "owner": str(owner.pk)}),
            "is_current": way.type == current.type,
        }
        for way in element.parsed.authentication
    ]


def _create(
    request: HttpRequest,
    owner: OrganizationUser,
    element: Element,
    way: AuthenticationType,
    form: NewInstanceForm,
) -> Instance | None:
    """Create the draft. Returns None if it was refused; the form then has the error at its fields."""
    try:
        return create_draft(
            owner,
            element,
            actor=request.user.get_username(),
            name=form.cleaned_data["name"],
            tags=split_tags(form.cleaned_data["tags"]) or None,
            authentication_type=way.type,
            configuration=form.configuration,
            is_incomplete="link" in request.POST,
        )
    except (InputError, UnreadableSecretError) as refusal:
        form.add_refusal(refusal)
        return None
