"""Enter other credentials for a connection."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from instances.errors import InputError, InstancesError
from instances.models import Instance
from instances.pages.forms import ConfigurationForm
from instances.pages.frames import permitted_instance
from instances.pages.oauth_redirect import redirect_to_provider
from instances.provisioning.access.permissions import InstancePermission
from instances.provisioning.actions import uses_browser
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.plan import has_oauth_app
from instances.selfservice.pages import self_service


@self_service
def reconnect(request: HttpRequest, pk: int) -> HttpResponse:
    """Enter other credentials or authorize again. A secret that is left blank keeps its value."""
    instance = permitted_instance(request, pk, InstancePermission.CHANGE)
    try:
        way = instance.authentication
    except InputError as error:
        messages.error(request, str(error))
        return redirect("connection", pk)
    has_app = has_oauth_app(instance.organization, instance.element, way)
    form = ConfigurationForm(
        way,
        has_oauth_app=has_app,
        instance=instance,
        data=request.POST if request.method == "POST" else None,
    )
    if form.is_valid() and (response := _reconnect(request, instance, form)):
        return response
    context = {
        "instance": instance,
        "element": instance.element,
        "form": form,
        "is_oauth": way.needs_browser,
    }
    return render(request, "instances/connect/reconnect.html", context)


def _reconnect(
    request: HttpRequest, instance: Instance, form: ConfigurationForm
) -> HttpResponse | None:
    try:
        if uses_browser(instance):
            return redirect_to_provider(request, instance, configuration=form.configuration)
        reauthenticate_instance(
            instance, actor=request.user.get_username(), configuration=form.configuration
        )
    except InputError as refusal:
        form.add_refusal(refusal)
        return None
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%s is connected.") % instance.name)
    return redirect("connection", instance.pk)
