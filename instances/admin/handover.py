"""When somebody leaves: which connections were theirs, and one form that hands them over."""

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
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from instances.models import Authorization, Instance, OrganizationUser
from instances.pages.admin_pages import ModelAdmin, render_page
from instances.provisioning.access.handover import Handover, hand_over_instances

MAX_AT_ONCE = 500


class HandoverForm(forms.Form):
    """To whom, why, and which; all of them unless some are left out."""

    to = forms.ModelChoiceField(
        OrganizationUser.objects.none(),
        label=gettext_lazy("Hand over to"),
        widget=UnfoldAdminSelectWidget,
    )
    why = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Stands in the history of each, with your name."),
    )

    def __init__(self, owner: OrganizationUser, account: User | AnonymousUser, data: Any) -> None:
        super().__init__(data)
        others = OrganizationUser.objects.operated_by(account).exclude(pk=owner.pk)
        field = cast(forms.ModelChoiceField[Any], self.fields["to"])
        field.queryset = (
            others.filter(organization=owner.organization_id)
            .exclude(account__is_active=False)
            .select_related("organization")
        )


def handover_page(model_admin: ModelAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """An organization user's instances, and the form; a GET asks, the POST that answers it acts."""
    owner = model_admin.get_object(request, str(object_id))
    if owner is None:
        raise Http404
    operated = OrganizationUser.objects.operated_by(request.user).filter(pk=owner.pk)
    if not request.user.has_perm("instances.change_instance") or not operated.exists():
        raise PermissionDenied
    rows = _listed(owner.instances.all())
    form = HandoverForm(owner, request.user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        chosen = rows.filter(pk__in=_numbers(request.POST.getlist("instance")))[:MAX_AT_ONCE]
        done = hand_over_instances(
            chosen, form.cleaned_data["to"], account=request.user, why=form.cleaned_data["why"]
        )
        _tell(request, done, form.cleaned_data["to"])
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
    """What an account left or would leave: its organization users, and where it allowed access itself."""
    account = model_admin.get_object(request, str(object_id))
    if account is None or not request.user.has_perm("instances.view_instance"):
        raise Http404 if account is None else PermissionDenied
    owners = OrganizationUser.objects.visible_to(request.user).filter(account=account)
    visible = Instance.objects.visible_to(request.user)
    trips = Authorization.objects.filter(
        started_by=account, outcome=Authorization.Outcome.COMPLETED
    )
    context = {
        "title": _("Connections of %s") % account.get_username(),
        "original": account,
        "owners": owners.select_related("organization").annotate(count=Count("instances")),
        "instances": _listed(visible.filter(pk__in=trips.values("instance")))[:MAX_AT_ONCE],
    }
    return render_page(model_admin, request, "account_connections.html", context)


def remind_of_connections(request: HttpRequest, account: User) -> None:
    """Somebody leaves: say so while whoever closes the account is still there."""
    visible = Instance.objects.visible_to(request.user)
    if not visible.filter(organization_user__account=account).exists():
        return
    said = _("Connections belong to {name} still.")
    link = '<a class="im-link" href="{url}">{label}</a>'
    messages.warning(
        request,
        format_html(
            f"{said} {link}",
            name=account.get_username(),
            url=reverse("admin:auth_user_connections", args=[account.pk]),
            label=_("Look at them, and hand them over"),
        ),
    )


def _listed(rows: QuerySet[Instance]) -> QuerySet[Instance]:
    return rows.select_related("element", "organization_user__organization").order_by("name", "pk")


def _numbers(values: list[str]) -> list[int]:
    return [int(value) for value in values if value.isascii() and value.isdecimal()]


def _tell(request: HttpRequest, done: Handover, to: OrganizationUser) -> None:
    for refusal in done.refusals:
        messages.error(request, refusal)
    if not done.count and not done.refusals:
        messages.warning(request, _("No connection was chosen, so none was handed over."))
    if done.count:
        said = ngettext(
            "%(count)d connection belongs to %(to)s now.",
            "%(count)d connections belong to %(to)s now.",
            done.count,
        )
        messages.success(request, said % {"count": done.count, "to": to})
