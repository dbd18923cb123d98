"""What staff can do with a connection. Destructive steps ask first; each step runs while the browser waits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _, gettext_lazy

from instances.errors import InputError, InstancesError
from instances.models import Instance
from instances.pages.forms import ConfigurationForm
from instances.pages.oauth_redirect import redirect_to_provider
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.lifecycle.switches import set_enabled
from instances.provisioning.plan import has_oauth_app
from instances.provisioning.status.explain import Step, is_offered, is_only_here, uses_browser
from instances.selfservice.pages import instance_for, self_service

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


@dataclass(frozen=True, kw_only=True)
class StaffStep:
    """One button. effect: the text of its confirmation page, if it has one. busy, done: messages during and after."""

    name: Step
    label: "StrPromise"
    done: "StrPromise | str" = ""
    effect: "StrPromise | str" = ""
    busy: "StrPromise | str" = ""
    permission: InstancePermission = InstancePermission.CHANGE
    carry_out: Callable[[Instance, str], object] | None = None


_TABLE = (
    StaffStep(
        name=Step.PROVISION,
        label=gettext_lazy("Connect"),
        busy=gettext_lazy("Connecting …"),
        done=gettext_lazy("%s is connected."),
        carry_out=lambda instance, actor: provision_instance(instance, actor=actor),
    ),
    StaffStep(
        name=Step.AUTHORIZE,
        label=gettext_lazy("Authorize at the provider"),
        busy=gettext_lazy("Connecting …"),
    ),
    StaffStep(
        name=Step.CHECK,
        label=gettext_lazy("Check"),
        busy=gettext_lazy("Checking …"),
        done=gettext_lazy("%s works."),
        carry_out=lambda instance, actor: check_instance(instance, actor=actor),
    ),
    StaffStep(name=Step.REAUTHENTICATE, label=gettext_lazy("Reconnect")),
    StaffStep(
        name=Step.ENABLE,
        label=gettext_lazy("Enable"),
        done=gettext_lazy("%s is enabled."),
        carry_out=lambda instance, actor: set_enabled(instance, is_enabled=True, actor=actor),
    ),
    StaffStep(
        name=Step.DISABLE,
        label=gettext_lazy("Disable"),
        effect=gettext_lazy("Programs cannot use this connection until you enable it again."),
        done=gettext_lazy("%s is disabled."),
        carry_out=lambda instance, actor: set_enabled(instance, is_enabled=False, actor=actor),
    ),
    StaffStep(
        name=Step.DELETE,
        label=gettext_lazy("Disconnect"),
        busy=gettext_lazy("Disconnecting …"),
        effect=gettext_lazy(
            "The connection is deleted, its access is revoked if the provider supports that, and programs that use "
            "it stop working. This cannot be undone."
        ),
        done=gettext_lazy("%s was disconnected."),
        permission=InstancePermission.DELETE,
        carry_out=lambda instance, actor: delete_instance(instance, actor=actor),
    ),
)
STEPS: dict[str, StaffStep] = {step.name: step for step in _TABLE}
_REMOVE = replace(
    STEPS[Step.DELETE],
    label=gettext_lazy("Remove"),
    busy=gettext_lazy("Removing …"),
    effect=gettext_lazy(
        "It is not connected, so no program uses it. Everything entered for it is deleted. This cannot be undone."
    ),
    done=gettext_lazy("%s was removed."),
)


def step_for(name: str, instance: Instance) -> StaffStep:
    """Return the step of that name. A connection that was never connected is removed, not disconnected."""
    is_removal = name == Step.DELETE and is_only_here(instance)
    return _REMOVE if is_removal else STEPS[name]


def offered_steps(instance: Instance, user: User) -> list[StaffStep]:
    return [
        step_for(step.name, instance)
        for step in _TABLE
        if is_offered(step.name, instance) and is_permitted(user, instance, step.permission)
    ]


@self_service
def step(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Show the confirmation page of a step; a POST carries it out."""
    if name not in STEPS:
        raise Http404
    instance = instance_for(request, pk, STEPS[name].permission)
    chosen = step_for(name, instance)
    if request.method == "POST":
        return take_step(request, instance, chosen)
    context = {"instance": instance, "step": chosen}
    return render(request, "instances/connect/confirmation.html", context)


def take_step(request: HttpRequest, instance: Instance, chosen: StaffStep) -> HttpResponse:
    """Carry out the step, and redirect to the page that shows its outcome."""
    pk = instance.pk
    try:
        if chosen.carry_out is None:
            return redirect_to_provider(request, instance)
        chosen.carry_out(instance, request.user.get_username())
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, str(chosen.done) % instance.name)
    still_exists = Instance.objects.filter(pk=pk).exists()
    return redirect("connection", pk) if still_exists else redirect("connections")


@self_service
def reconnect(request: HttpRequest, pk: int) -> HttpResponse:
    """Enter other credentials or authorize again. A secret that is left blank keeps its value."""
    instance = instance_for(request, pk, InstancePermission.CHANGE)
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
