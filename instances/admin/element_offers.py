"""Which organizations may use an element for new instances."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _, gettext_lazy
from unfold.widgets import UnfoldAdminSelectMultipleWidget, UnfoldBooleanWidget

from instances.models import Element, Organization
from instances.pages.admin_pages import ModelAdmin, render_page
from instances.provisioning.elements import offer_element

_SHOWN_ORGANIZATIONS = 10


class OfferForm(forms.Form):
    """Either every organization, or some of those that the user may see."""

    is_for_all = forms.BooleanField(
        label=gettext_lazy("Every organization may use it"),
        required=False,
        widget=UnfoldBooleanWidget,
    )
    organizations = forms.ModelMultipleChoiceField(
        Organization.objects.none(),
        label=gettext_lazy("Only these organizations"),
        required=False,
        widget=UnfoldAdminSelectMultipleWidget,
        help_text=gettext_lazy("Instances that exist already keep working."),
    )

    def __init__(self, *args: Any, user: User | AnonymousUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast("forms.ModelMultipleChoiceField[Organization]", self.fields["organizations"])
        field.queryset = Organization.objects.visible_to(user)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("is_for_all") and cleaned.get("organizations"):
            self.add_error("organizations", _("Remove these, or do not offer it to all."))
        return cleaned


def offer_page(model_admin: ModelAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """Choose the organizations that may use an element."""
    element: Element = model_admin.visible_object(request, str(object_id))
    if not model_admin.has_change_permission(request, element):
        raise PermissionDenied
    visible = element.organizations.filter(pk__in=Organization.objects.visible_to(request.user))
    initial = {"is_for_all": element.is_for_all, "organizations": visible}
    sent = request.POST if request.method == "POST" else None
    form = OfferForm(sent, initial=initial, user=request.user)
    if form.is_valid():
        offer_element(
            element,
            to_all=form.cleaned_data["is_for_all"],
            added=form.cleaned_data["organizations"],
            removed=visible.exclude(pk__in=form.cleaned_data["organizations"]),
        )
        text = _("May be used by: %s.") % offered_to(element, request)
        model_admin.log_change(request, element, text)
        messages.success(request, text)
        return redirect("admin:instances_element_change", element.pk)
    context = {"title": _("Who may use %s") % element.name, "original": element, "form": form}
    return render_page(model_admin, request, "element_offer.html", context)


def offered_to(element: Element, request: HttpRequest) -> str:
    """Say who may use an element, without naming organizations that the user may not see."""
    if element.is_for_all:
        return _("every organization")
    visible = Organization.objects.visible_to(request.user)
    names = [
        str(one) for one in element.organizations.filter(pk__in=visible)[: _SHOWN_ORGANIZATIONS + 1]
    ]
    if not names:
        return _("no organization")
    more = ", …" if len(names) > _SHOWN_ORGANIZATIONS else ""
    return ", ".join(names[:_SHOWN_ORGANIZATIONS]) + more
