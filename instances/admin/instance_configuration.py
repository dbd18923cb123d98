"""Adding an instance in two steps, and re-authenticating one: pages with the element's own form."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from instances.admin.instance_forms import (
    ChoiceForm,
    ConfigurationForm,
    NewInstanceForm,
)
from instances.catalogue.definition import AuthenticationType
from instances.errors import (
    InputError,
    InstancesError,
    InvalidConfigurationError,
    UnreadableSecretError,
)
from instances.models import Element, Instance, OrganizationUser
from instances.pages.admin_pages import ModelAdmin, allow_leaving, render_page
from instances.pages.confirm import carry_out
from instances.pages.forms import WAY_LABELS, split_tags
from instances.pages.frames import ADMIN, permitted_instance
from instances.pages.oauth_redirect import redirect_to_provider
from instances.provisioning.access.permissions import is_permitted
from instances.provisioning.actions import AUTHORIZE, PROVISION, REAUTHENTICATE
from instances.provisioning.create import create_draft
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.plan import has_oauth_app


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
    users = OrganizationUser.objects.operated_by(request.user).select_related("organization")
    user = get_object_or_404(users, pk=user_id)
    element = get_object_or_404(Element.objects.active(), pk=element_id)
    try:
        way = element.parsed.authentication_type(request.GET.get("way"))
    except InvalidConfigurationError:
        raise Http404 from None
    has_app = has_oauth_app(user.organization, element, way)
    data = request.POST if request.method == "POST" else None
    form = NewInstanceForm(way, has_oauth_app=has_app, data=data)
    if data and form.is_valid():
        instance = _create(user, element, way, form, actor=request.user.get_username())
        if instance is not None:
            return _after_creation(model_admin, request, instance)
    context = {
        "title": _("Add instance"),
        "form": form,
        "element": element,
        "organization_user": user,
        "ways": _ways(element, way),
        "has_oauth_app": has_app,
        "is_oauth": way.needs_browser,
        "back_url": reverse("admin:instances_instance_add"),
    }
    return allow_leaving(render_page(model_admin, request, "configure.html", context))


def reauthenticate_page(
    model_admin: ModelAdmin, request: HttpRequest, object_id: int
) -> HttpResponse:
    """Enter other credentials for an existing instance. A secret that is left blank keeps its value."""
    instance = permitted_instance(request, object_id, REAUTHENTICATE.permission)
    try:
        way = instance.authentication
    except InputError as error:
        messages.error(request, str(error))
        return redirect("admin:instances_instance_change", instance.pk)
    has_app = has_oauth_app(instance.organization, instance.element, way)
    form = ConfigurationForm(
        way,
        has_oauth_app=has_app,
        instance=instance,
        data=request.POST if request.method == "POST" else None,
    )
    if form.is_valid() and (response := _reauthenticate(request, instance, form)):
        return response
    context = {
        "title": _("Re-authenticate"),
        "original": instance,
        "form": form,
        "element": instance.element,
        "organization_user": instance.organization_user,
        "has_oauth_app": has_app,
        "is_oauth": way.needs_browser,
        "back_url": reverse("admin:instances_instance_change", args=[instance.pk]),
    }
    return allow_leaving(render_page(model_admin, request, "configure.html", context))


def _ways(element: Element, current: AuthenticationType) -> list[dict[str, object]]:
    return [
        {
            "label": WAY_LABELS[way.type],
            "url": "?" + urlencode({"way": way.type}),
            "is_current": way.type == current.type,
        }
        for way in element.parsed.authentication
    ]


def _create(
    user: OrganizationUser,
    element: Element,
    way: AuthenticationType,
    form: NewInstanceForm,
    *,
    actor: str,
) -> Instance | None:
    """Create the draft. Returns None if it was refused; the form then has the error at its fields."""
    try:
        return create_draft(
            user,
            element,
            actor=actor,
            name=form.cleaned_data["name"],
            tags=split_tags(form.cleaned_data["tags"]) or None,
            authentication_type=way.type,
            configuration=form.configuration,
        )
    except (InputError, UnreadableSecretError) as refusal:
        form.add_refusal(refusal)
        return None


def _after_creation(
    model_admin: ModelAdmin, request: HttpRequest, instance: Instance
) -> HttpResponse:
    model_admin.log_addition(request, instance, _("Created as a draft."))
    action = AUTHORIZE if instance.authentication.needs_browser else PROVISION
    if "connect" in request.POST and is_permitted(request.user, instance, action.permission):
        return carry_out(request, instance, action, frame=ADMIN)
    messages.success(request, _("%s was saved as a draft.") % instance.name)
    return redirect("admin:instances_instance_change", instance.pk)


def _reauthenticate(
    request: HttpRequest, instance: Instance, form: ConfigurationForm
) -> HttpResponse | None:
    actor = request.user.get_username()
    try:
        if instance.authentication.needs_browser:
            return redirect_to_provider(request, instance, configuration=form.configuration)
        reauthenticate_instance(instance, actor=actor, configuration=form.configuration)
    except InputError as refusal:
        form.add_refusal(refusal)
        return None
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%s is connected.") % instance.name)
    return redirect("admin:instances_instance_change", instance.pk)
