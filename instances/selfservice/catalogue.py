"""The catalogue, and the page that connects an account of one of its elements."""

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from instances.errors import InputError, PermissionRefusedError
from instances.models import Element, ElementRequest, Instance, Organization, OrganizationUser
from instances.pages.configure import new_instance_page
from instances.pages.frames import SELF_SERVICE, signed_in_user
from instances.provisioning.access.element_requests import ready_elements, request_element
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
    owners = OrganizationUser.objects.operated_by(user)
    organizations = Organization.objects.filter(pk__in=owners.values("organization"))
    elements = Element.objects.connectable().offered_to(organizations).defer("definition")
    hubs = elements.order_by("hub").values_list("hub", flat=True).distinct()
    if query:
        elements = elements.filter(Q(name__icontains=query) | Q(key__icontains=query))
    if hub:
        elements = elements.filter(hub=hub)
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
    element = _offered(signed_in_user(request), key)
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
    """Choose the owner if there are several, then connect an account."""
    user = signed_in_user(request)
    if not user.has_perm("instances.add_instance"):
        raise PermissionDenied
    element = _offered(user, key)
    owners = OrganizationUser.objects.operated_by(user).select_related("organization")
    owner = _owner(request, owners)
    if owner is None:
        choices = {"element": element, "owners": owners}
        return render(request, "instances/connect/choose_owner.html", choices)
    return new_instance_page(
        request, owner, element, frame=SELF_SERVICE, back_url=reverse("catalogue")
    )


def _offered(user: User, key: str) -> Element:
    """Return an element that the user may connect for some organization. Raises Http404."""
    owners = OrganizationUser.objects.operated_by(user)
    elements = Element.objects.active().offered_to(owners.values("organization"))
    return get_object_or_404(elements, key=key)


def _owner(request: HttpRequest, owners: QuerySet[OrganizationUser]) -> OrganizationUser | None:
    """Return the organization user. None if there is none, or if several exist and none was chosen."""
    chosen = request.GET.get("owner", "")
    if chosen.isdecimal():
        return get_object_or_404(owners, pk=int(chosen))
    first_two = owners[:2]
    return first_two[0] if len(first_two) == 1 else None
