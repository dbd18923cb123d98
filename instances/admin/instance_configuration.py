"""Adding an instance: choose the owner and the element, then enter the configuration."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from instances.admin.instance_forms import ChoiceForm
from instances.models import Element, OrganizationUser
from instances.pages.admin_pages import ModelAdmin, render_page
from instances.pages.configure import new_instance_page
from instances.pages.frames import ADMIN


def choose_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Step 1: choose the organization user and the element."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    form = ChoiceForm(request.user, request.GET if "element" in request.GET else None)
    if form.is_valid():
        chosen = (form.cleaned_data["organization_user"].pk, form.cleaned_data["element"].pk)
        return redirect("admin:instances_instance_configure", *chosen)
    context = {"title": _("Add instance"), "form": form}
    return render_page(model_admin, request, "choose_element.html", context)


def configure_page(
    model_admin: ModelAdmin, request: HttpRequest, user_id: int, element_id: int
) -> HttpResponse:
    """Step 2: enter the configuration of the chosen way of authentication."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    owners = OrganizationUser.objects.operated_by(request.user).select_related("organization")
    return new_instance_page(
        request,
        get_object_or_404(owners, pk=user_id),
        get_object_or_404(
            Element.objects.active().offered_to(owners.values("organization")), pk=element_id
        ),
        frame=ADMIN,
        back_url=reverse("admin:instances_instance_add"),
    )
