"""My connections: the list, and where the pages of a connection are."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from instances.models import Element, Instance, OrganizationUser
from instances.models.organizations import inline_ids
from instances.pages.actions import action_page
from instances.pages.frames import SELF_SERVICE, signed_in_user
from instances.pages.instance import instance_page
from instances.pages.links import revoke_page
from instances.provisioning.status.audience import audiences_for
from instances.provisioning.status.explain import explain
from instances.provisioning.status.meaning import facts_of, meaning_of
from instances.queries.cursor_pages import EVERY, Order, page_of
from instances.selfservice.pages import query_parameter, self_service

PER_PAGE = 25
BY_PLACE = Order({"place": str, "pk": int})


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
def connection(request: HttpRequest, pk: int) -> HttpResponse:
    return instance_page(request, pk, frame=SELF_SERVICE)


@self_service
def action(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    return action_page(request, pk, name, frame=SELF_SERVICE)


@self_service
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    return revoke_page(request, pk, frame=SELF_SERVICE)
