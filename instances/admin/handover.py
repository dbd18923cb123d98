"""Offboarding a user: their connections, and a form that hands them over."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _, gettext_lazy, ngettext

from instances.models import Authorization, Instance, OrganizationUser
from instances.pages.admin_pages import ModelAdmin, render_page
from instances.pages.forms import PageForm
from instances.provisioning.access.handover import Handover, hand_over_instances

MAX_AT_ONCE = 500


class HandoverForm(PageForm):
    """The new owner and the reason. All instances are selected by default."""

    to = forms.ModelChoiceField(
        OrganizationUser.objects.none(),
        label=gettext_lazy("Hand over to"),
    )
    why = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        help_text=gettext_lazy("Recorded in the history of each connection, with your name."),
    )

    def __init__(self, owner: OrganizationUser, user: User | AnonymousUser, data: Any) -> None:
        super().__init__(data)
        others = OrganizationUser.objects.operated_by(user).exclude(pk=owner.pk)
        field = cast(forms.ModelChoiceField[Any], self.fields["to"])
        field.queryset = (
            others.filter(organization=owner.organization_id)
            .exclude(user__is_active=False)
            .select_related("organization")
        )


def handover_page(model_admin: ModelAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """Show an organization user's instances with the form; a POST hands them over."""
    owner = model_admin.get_object(request, str(object_id))
    if owner is None:
        raise Http404
    operated = OrganizationUser.objects.operated_by(request.user).filter(pk=owner.pk)
    if not request.user.has_perm("instances.change_instance") or not operated.exists():
        raise PermissionDenied
    rows = _for_list(owner.instances.all())
    form = HandoverForm(owner, request.user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        chosen = rows.filter(pk__in=_parse_ids(request.POST.getlist("instance")))[:MAX_AT_ONCE]
        handover = hand_over_instances(
            chosen, form.cleaned_data["to"], user=request.user, why=form.cleaned_data["why"]
        )
        _report(request, handover, form.cleaned_data["to"])
        return redirect(request.path)
    context = {
        "title": _("Hand over connections"),
        "original": owner,
        "form": form,
        "instances": rows[:MAX_AT_ONCE],
        "count": rows.count(),
    }
    return render_page(model_admin, request, "handover.html", context)


def connections_page(model_admin: ModelAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """List a user's organization users, and the instances that the user authorized."""
    user = model_admin.get_object(request, str(object_id))
    if user is None or not request.user.has_perm("instances.view_instance"):
        raise Http404 if user is None else PermissionDenied
    owners = OrganizationUser.objects.visible_to(request.user).filter(user=user)
    visible = Instance.objects.visible_to(request.user)
    trips = Authorization.objects.filter(started_by=user, outcome=Authorization.Outcome.COMPLETED)
    context = {
        "title": _("Connections of %s") % user.get_username(),
        "original": user,
        "owners": owners.select_related("organization").annotate(count=Count("instances")),
        "instances": _for_list(visible.filter(pk__in=trips.values("instance")))[:MAX_AT_ONCE],
    }
    return render_page(model_admin, request, "user_connections.html", context)


def remind_of_connections(request: HttpRequest, user: User) -> None:
    """Warn the operator who deactivates a user that the user still owns connections."""
    visible = Instance.objects.visible_to(request.user)
    if not visible.filter(organization_user__user=user).exists():
        return
    warning = _("{name} still owns connections.")
    link = '<a href="{url}">{label}</a>'
    messages.warning(
        request,
        format_html(
            f"{warning} {link}",
            name=user.get_username(),
            url=reverse("admin:auth_user_connections", args=[user.pk]),
            label=_("Review and hand over"),
        ),
    )


def _for_list(rows: QuerySet[Instance]) -> QuerySet[Instance]:
    return rows.select_related("element", "organization_user__organization").order_by("name", "pk")


def _parse_ids(values: list[str]) -> list[int]:
    return [int(value) for value in values if value.isascii() and value.isdecimal()]


def _report(request: HttpRequest, handover: Handover, to: OrganizationUser) -> None:
    for refusal in handover.refusals:
        messages.error(request, refusal)
    if not handover.count and not handover.refusals:
        messages.warning(request, _("No connections were selected, so none were handed over."))
    if handover.count:
        message = ngettext(
            "%(count)d connection now belongs to %(to)s.",
            "%(count)d connections now belong to %(to)s.",
            handover.count,
        )
        messages.success(request, message % {"count": handover.count, "to": to})
