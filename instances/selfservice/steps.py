"""What staff do with a connection: asked about first where it takes something away, then done while they wait."""

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
from instances.provisioning.plan import authentication_of, has_oauth_app
from instances.provisioning.status.explain import Step, is_offered, is_only_here, uses_browser
from instances.selfservice.pages import instance_for, self_service

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


@dataclass(frozen=True, kw_only=True)
class StaffStep:
    """One button. effect: what a page asks before, where it asks. busy: said while it lasts; done: after."""

    name: Step
    label: "StrPromise"
    done: "StrPromise | str" = ""
    effect: "StrPromise | str" = ""
    busy: "StrPromise | str" = ""
    verb: InstancePermission = InstancePermission.CHANGE
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
        busy=gettext_lazy("Asking the provider …"),
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
        effect=gettext_lazy("Programs that use this connection are refused until you enable it."),
        done=gettext_lazy("%s is disabled."),
        carry_out=lambda instance, actor: set_enabled(instance, is_enabled=False, actor=actor),
    ),
    StaffStep(
        name=Step.DELETE,
        label=gettext_lazy("Disconnect"),
        busy=gettext_lazy("Disconnecting …"),
        effect=gettext_lazy(
            "The connection is taken down, its access is revoked where the provider allows it, and programs that "
            "use it stop working. This cannot be undone."
        ),
        done=gettext_lazy("%s is disconnected."),
        verb=InstancePermission.DELETE,
        carry_out=lambda instance, actor: delete_instance(instance, actor=actor),
    ),
)
STEPS: dict[str, StaffStep] = {step.name: step for step in _TABLE}
_REMOVE = replace(
    STEPS[Step.DELETE],
    label=gettext_lazy("Remove"),
    busy=gettext_lazy("Removing …"),
    effect=gettext_lazy(
        "It is not connected, so no program can use it. What was entered for it is deleted. This cannot be undone."
    ),
    done=gettext_lazy("%s is removed."),
)


def step_for(name: str, instance: Instance) -> StaffStep:
    """The step of that name, in the words that fit: what is connected nowhere is removed, not disconnected."""
    is_removal = name == Step.DELETE and is_only_here(instance)
    return _REMOVE if is_removal else STEPS[name]


def offered_steps(instance: Instance, account: User) -> list[StaffStep]:
    return [
        step_for(step.name, instance)
        for step in _TABLE
        if is_offered(step.name, instance) and is_permitted(account, instance, step.verb)
    ]


@self_service
def step(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """A GET asks, the POST that answers it acts."""
    if name not in STEPS:
        raise Http404
    instance = instance_for(request, pk, STEPS[name].verb)
    chosen = step_for(name, instance)
    if request.method == "POST":
        return take_step(request, instance, chosen)
    context = {"instance": instance, "step": chosen}
    return render(request, "instances/connect/confirmation.html", context)


def take_step(request: HttpRequest, instance: Instance, chosen: StaffStep) -> HttpResponse:
    """Carry it out, and go where its outcome is to be seen."""
    pk = instance.pk
    try:
        if chosen.carry_out is None:
            return redirect_to_provider(request, instance)
        chosen.carry_out(instance, request.user.get_username())
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, str(chosen.done) % instance.name)
    is_there = Instance.objects.filter(pk=pk).exists()
    return redirect("connection", pk) if is_there else redirect("connections")


@self_service
def reconnect(request: HttpRequest, pk: int) -> HttpResponse:
    """Other credentials, or a new consent; a secret left empty stays as it is."""
    instance = instance_for(request, pk, InstancePermission.CHANGE)
    try:
        way = authentication_of(instance)
    except InputError as error:
        messages.error(request, str(error))
        return redirect("connection", pk)
    is_app_there = has_oauth_app(instance.organization, instance.element, way)
    form = ConfigurationForm(
        way,
        has_oauth_app=is_app_there,
        instance=instance,
        data=request.POST if request.method == "POST" else None,
    )
    if form.is_valid() and (done := _reconnect(request, instance, form)):
        return done
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
