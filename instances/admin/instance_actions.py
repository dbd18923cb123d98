"""Actions on instances: one table for the buttons of an instance and the bulk actions of the list."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from instances import tasks
from instances.errors import InstancesError
from instances.models import Instance
from instances.pages.admin_pages import ModelAdmin, render_secrets
from instances.pages.oauth_redirect import redirect_to_provider
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.access.tokens import reveal_token
from instances.provisioning.lifecycle import check, delete, provision, switches
from instances.provisioning.status.explain import Step

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

type Enqueue = Callable[[int, str], object]
type CarryOut = Callable[[ModelAdmin, HttpRequest, Instance], HttpResponse | None]


@dataclass(frozen=True, kw_only=True)
class InstanceAction:
    """One button."""

    name: Step
    label: "StrOrPromise"
    permission: InstancePermission = InstancePermission.CHANGE
    is_destructive: bool = False

    def is_allowed(self, user: User | AnonymousUser, instance: Instance) -> bool:
        return is_permitted(user, instance, self.permission)

    def url(self, instance: Instance) -> str:
        return reverse("admin:instances_instance_action", args=[instance.pk, self.name])


@dataclass(frozen=True, kw_only=True)
class ConfirmedAction(InstanceAction):
    """An action with a confirmation page. effect says what will happen, done what happened.

    carry_out acts on one instance; a response that it returns replaces the message done. enqueue, if set, acts on one
    of many instances in the background.
    """

    effect: "StrOrPromise"
    carry_out: CarryOut
    done: "StrOrPromise" = ""
    enqueue: Enqueue | None = None


def perform(
    action: ConfirmedAction, model_admin: ModelAdmin, request: HttpRequest, instance: Instance
) -> HttpResponse:
    """Carry out the action, and redirect to the page that shows its outcome."""
    pk = instance.pk
    try:
        response = action.carry_out(model_admin, request, instance)
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        if response is not None:
            return response
        messages.success(request, str(action.done).format(name=instance.name))
    if Instance.objects.filter(pk=pk).exists():
        return redirect("admin:instances_instance_change", pk)
    return redirect("admin:instances_instance_changelist")


def _operation(operation: Callable[..., object], **arguments: Any) -> CarryOut:
    def carry_out(_: ModelAdmin, request: HttpRequest, instance: Instance) -> None:
        operation(instance, actor=request.user.get_username(), **arguments)

    return carry_out


def _authorize(_: ModelAdmin, request: HttpRequest, instance: Instance) -> HttpResponse:
    return redirect_to_provider(request, instance)


def _reveal(model_admin: ModelAdmin, request: HttpRequest, instance: Instance) -> HttpResponse:
    token = reveal_token(instance, user=request.user)
    context = {
        "title": _("Element token"),
        "original": instance,
        "advice": _("Anyone who has it can use this connection. Your access was recorded."),
        "secrets": {_("Element token"): token},
        "done_url": reverse("admin:instances_instance_change", args=[instance.pk]),
    }
    return render_secrets(model_admin, request, context)


PROVISION = ConfirmedAction(
    name=Step.PROVISION,
    label=_("Provision"),
    effect=_("The platform connects it with the stored configuration."),
    done=_("{name} is connected."),
    carry_out=_operation(provision.provision_instance),
    enqueue=tasks.provision_instance.enqueue,
)
AUTHORIZE = ConfirmedAction(
    name=Step.AUTHORIZE,
    label=_("Authorize"),
    effect=_("Your browser goes to the provider, where the account owner allows access."),
    carry_out=_authorize,
)
REAUTHENTICATE = InstanceAction(
    name=Step.REAUTHENTICATE,
    label=_("Re-authenticate"),
)
_TABLE: tuple[InstanceAction, ...] = (
    PROVISION,
    AUTHORIZE,
    ConfirmedAction(
        name=Step.CHECK,
        label=_("Check"),
        effect=_("Asks the provider whether the connection works. Nothing is changed there."),
        done=_("{name} works."),
        carry_out=_operation(check.check_instance),
        enqueue=tasks.check_instance.enqueue,
    ),
    REAUTHENTICATE,
    ConfirmedAction(
        name=Step.ENABLE,
        label=_("Enable"),
        effect=_("It can be used again, here and on its platform."),
        done=_("{name} is enabled."),
        carry_out=_operation(switches.set_enabled, is_enabled=True),
        enqueue=partial(tasks.set_enabled.enqueue, is_enabled=True),
    ),
    ConfirmedAction(
        name=Step.DISABLE,
        label=_("Disable"),
        effect=_("Calls with its Element token are rejected until you enable it again."),
        done=_("{name} is disabled."),
        carry_out=_operation(switches.set_enabled, is_enabled=False),
        enqueue=partial(tasks.set_enabled.enqueue, is_enabled=False),
    ),
    ConfirmedAction(
        name=Step.REVEAL,
        label=_("Reveal Element token"),
        effect=_("Shows the Element token once, in plain text. Your access is recorded."),
        carry_out=_reveal,
        permission=InstancePermission.REVEAL,
    ),
    ConfirmedAction(
        name=Step.DELETE,
        label=_("Delete on the platform"),
        effect=_(
            "It is deleted here and on its platform, and its tokens are revoked if the provider supports that. "
            "Its interactions are kept. This cannot be undone."
        ),
        done=_("{name} was deleted."),
        carry_out=_operation(delete.delete_instance),
        enqueue=tasks.delete_instance.enqueue,
        permission=InstancePermission.DELETE,
        is_destructive=True,
    ),
)
ACTIONS: dict[str, InstanceAction] = {action.name: action for action in _TABLE}
