"""What can be done to instances: one table for the buttons of one instance and the actions on many."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from instances import tasks
from instances.admin.pages import ModelAdmin, render_secrets
from instances.errors import InstancesError
from instances.models import Instance
from instances.provisioning import instances as verbs
from instances.provisioning.authorization import (
    BROWSER_COOKIE,
    begin_authorization,
    new_browser_secret,
)
from instances.provisioning.explanations import Step, uses_browser
from instances.provisioning.tokens import reveal_token

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

type Enqueue = Callable[[int, str], object]
type CarryOut = Callable[[ModelAdmin, HttpRequest, Instance], HttpResponse | None]
BROWSER_COOKIE_SECONDS = 60 * 60
_State = Instance.State
_NOT_CREATED = {_State.DRAFT, _State.FAILED}
_CREATED = {_State.CONNECTED, _State.NEEDS_REAUTHORIZATION}


@dataclass(frozen=True, kw_only=True)
class InstanceAction:
    """One button. is_offered: whether it makes sense on a page; what is possible is for the verb to say."""

    name: str
    label: "StrOrPromise"
    is_offered: Callable[[Instance], bool]
    permission: str = "change"
    is_destructive: bool = False

    def is_allowed(self, account: User | AnonymousUser) -> bool:
        codename = "reveal_token" if self.permission == "reveal" else f"{self.permission}_instance"
        return account.has_perm(f"instances.{codename}")

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
    return send_to_provider(request, instance)


def send_to_provider(
    request: HttpRequest, instance: Instance, *, configuration: Mapping[str, Any] | None = None
) -> HttpResponse:
    """The browser's way to the provider. Raises what begin_authorization() raises."""
    browser_secret = request.COOKIES.get(BROWSER_COOKIE) or new_browser_secret()
    begun = begin_authorization(
        instance,
        account=request.user,
        browser_secret=browser_secret,
        configuration=configuration,
    )
    response = HttpResponseRedirect(begun.url)
    response.set_cookie(
        BROWSER_COOKIE,
        browser_secret,
        max_age=BROWSER_COOKIE_SECONDS,
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response


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
    carry_out=_verb(verbs.provision_instance),
    enqueue=tasks.provision_instance.enqueue,
    is_offered=lambda instance: instance.state in _NOT_CREATED and not uses_browser(instance),
)
AUTHORIZE = ConfirmedAction(
    name=Step.AUTHORIZE,
    label=_("Authorize"),
    effect=_("Your browser goes to the provider, where the account's holder allows access."),
    carry_out=_authorize,
    is_offered=lambda instance: (
        uses_browser(instance)
        and instance.state in _NOT_CREATED | _CREATED | {_State.AWAITING_AUTHORIZATION}
    ),
)
REAUTHENTICATE = InstanceAction(
    name=Step.REAUTHENTICATE,
    label=_("Re-authenticate"),
    is_offered=lambda instance: instance.state in _NOT_CREATED | _CREATED,
)
_TABLE: tuple[InstanceAction, ...] = (
    PROVISION,
    AUTHORIZE,
    ConfirmedAction(
        name=Step.CHECK,
        label=_("Check"),
        effect=_("The provider is asked whether the connection works; nothing is changed there."),
        done=_("{name} works."),
        carry_out=_verb(verbs.check_instance),
        enqueue=tasks.check_instance.enqueue,
        is_offered=lambda instance: (
            instance.state in _CREATED | {_State.UNKNOWN, _State.PROVISIONING}
        ),
    ),
    REAUTHENTICATE,
    ConfirmedAction(
        name=Step.ENABLE,
        label=_("Enable"),
        effect=_("It can be used again, here and at its platform."),
        done=_("{name} is enabled."),
        carry_out=_verb(verbs.set_enabled, is_enabled=True),
        enqueue=partial(tasks.set_enabled.enqueue, is_enabled=True),
        is_offered=lambda instance: instance.is_disabled,
    ),
    ConfirmedAction(
        name="disable",
        label=_("Disable"),
        effect=_("Calls with its Element token are refused until it is enabled again."),
        done=_("{name} is disabled."),
        carry_out=_verb(verbs.set_enabled, is_enabled=False),
        enqueue=partial(tasks.set_enabled.enqueue, is_enabled=False),
        is_offered=lambda instance: not instance.is_disabled and instance.is_connected,
    ),
    ConfirmedAction(
        name="reveal",
        label=_("Reveal Element token"),
        effect=_("The Element token is shown once, in clear. That you saw it is recorded."),
        carry_out=_reveal,
        permission="reveal",
        is_offered=lambda instance: bool(instance.token),
    ),
    ConfirmedAction(
        name=Step.DELETE,
        label=_("Delete at the platform"),
        effect=_(
            "It is deleted at its platform, its tokens are revoked where the provider allows it, and it is "
            "forgotten here. Its interactions stay. This cannot be undone."
        ),
        done=_("{name} is deleted."),
        carry_out=_verb(verbs.delete_instance),
        enqueue=tasks.delete_instance.enqueue,
        permission="delete",
        is_destructive=True,
        is_offered=lambda instance: True,
    ),
)
ACTIONS = {action.name: action for action in _TABLE}
