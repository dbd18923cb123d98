"""What can be done to instances: one table for the buttons of one instance and the actions on many."""

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
    verb: InstancePermission = InstancePermission.CHANGE
    is_destructive: bool = False

    def is_allowed(self, account: User | AnonymousUser, instance: Instance) -> bool:
        return is_permitted(account, instance, self.verb)

    def url(self, instance: Instance) -> str:
        return reverse("admin:instances_instance_action", args=[instance.pk, self.name])


@dataclass(frozen=True, kw_only=True)
class ConfirmedAction(InstanceAction):
    """One that is asked about first. effect says before, done says after, what happens.

    carry_out does it to one instance; an answer of its own stands in place of done. enqueue, where there
    is one, does it to one of many in the background.
    """

    effect: "StrOrPromise"
    carry_out: CarryOut
    done: "StrOrPromise" = ""
    enqueue: Enqueue | None = None


def perform(
    action: ConfirmedAction, model_admin: ModelAdmin, request: HttpRequest, instance: Instance
) -> HttpResponse:
    """Carry it out, and go where its outcome is to be seen."""
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


def _verb(verb: Callable[..., object], **arguments: Any) -> CarryOut:
    def carry_out(_: ModelAdmin, request: HttpRequest, instance: Instance) -> None:
        verb(instance, actor=request.user.get_username(), **arguments)

    return carry_out


def _authorize(_: ModelAdmin, request: HttpRequest, instance: Instance) -> HttpResponse:
    return redirect_to_provider(request, instance)


def _reveal(model_admin: ModelAdmin, request: HttpRequest, instance: Instance) -> HttpResponse:
    token = reveal_token(instance, account=request.user)
    context = {
        "title": _("Element token"),
        "original": instance,
        "advice": _("Whoever has it can use this connection. That you saw it was recorded."),
        "secrets": {_("Element token"): token},
        "done_url": reverse("admin:instances_instance_change", args=[instance.pk]),
    }
    return render_secrets(model_admin, request, context)


PROVISION = ConfirmedAction(
    name=Step.PROVISION,
    label=_("Provision"),
    effect=_("The platform is asked to connect it with the configuration that is stored."),
    done=_("{name} is connected."),
    carry_out=_verb(provision.provision_instance),
    enqueue=tasks.provision_instance.enqueue,
)
AUTHORIZE = ConfirmedAction(
    name=Step.AUTHORIZE,
    label=_("Authorize"),
    effect=_("Your browser goes to the provider, where the account's holder allows access."),
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
        effect=_("The provider is asked whether the connection works; nothing is changed there."),
        done=_("{name} works."),
        carry_out=_verb(check.check_instance),
        enqueue=tasks.check_instance.enqueue,
    ),
    REAUTHENTICATE,
    ConfirmedAction(
        name=Step.ENABLE,
        label=_("Enable"),
        effect=_("It can be used again, here and at its platform."),
        done=_("{name} is enabled."),
        carry_out=_verb(switches.set_enabled, is_enabled=True),
        enqueue=partial(tasks.set_enabled.enqueue, is_enabled=True),
    ),
    ConfirmedAction(
        name=Step.DISABLE,
        label=_("Disable"),
        effect=_("Calls with its Element token are refused until it is enabled again."),
        done=_("{name} is disabled."),
        carry_out=_verb(switches.set_enabled, is_enabled=False),
        enqueue=partial(tasks.set_enabled.enqueue, is_enabled=False),
    ),
    ConfirmedAction(
        name=Step.REVEAL,
        label=_("Reveal Element token"),
        effect=_("The Element token is shown once, in clear. That you saw it is recorded."),
        carry_out=_reveal,
        verb=InstancePermission.REVEAL,
    ),
    ConfirmedAction(
        name=Step.DELETE,
        label=_("Delete at the platform"),
        effect=_(
            "It is deleted at its platform, its tokens are revoked where the provider allows it, and it is "
            "forgotten here. Its interactions stay. This cannot be undone."
        ),
        done=_("{name} is deleted."),
        carry_out=_verb(delete.delete_instance),
        enqueue=tasks.delete_instance.enqueue,
        verb=InstancePermission.DELETE,
        is_destructive=True,
    ),
)
ACTIONS: dict[str, InstanceAction] = {action.name: action for action in _TABLE}
