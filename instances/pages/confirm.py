"""The page between a button and its action, and what follows: a GET asks, the POST acts."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from instances.errors import InstancesError
from instances.models import Instance
from instances.pages.frames import Frame
from instances.pages.oauth_redirect import redirect_to_provider
from instances.provisioning.access.tokens import reveal_token
from instances.provisioning.actions import AUTHORIZE, DELETE, REVEAL, Action
from instances.provisioning.lifecycle.delete import remaining_access


def confirm_page(
    request: HttpRequest, instance: Instance, action: Action, *, frame: Frame
) -> HttpResponse:
    """Ask before an action on one instance; the POST carries it out while the browser waits."""
    if request.method == "POST":
        return carry_out(request, instance, action, frame=frame)
    context = {
        "title": action.label,
        "original": instance,
        "action": action,
        "effect": action.effect,
        "is_destructive": action.is_destructive,
        "notes": remaining_access([instance]) if action is DELETE else [],
        "instances": [instance],
        "back_url": frame.instance_url(instance),
    }
    return frame.render(request, "confirmation.html", context)


def carry_out(
    request: HttpRequest, instance: Instance, action: Action, *, frame: Frame
) -> HttpResponse:
    """Carry out an action, and redirect to the page that shows its outcome."""
    pk = instance.pk
    notes = remaining_access([instance]) if action is DELETE else []
    try:
        if action is AUTHORIZE:
            return redirect_to_provider(request, instance)
        if action is REVEAL:
            return show_token(request, instance, frame=frame)
        if action.verb:
            action.verb(instance, actor=request.user.get_username())
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        done = str(action.done) % {"name": instance.name}
        messages.success(request, " ".join([done, *notes]))
    still_exists = Instance.objects.filter(pk=pk).exists()
    return redirect(frame.instance_url(instance) if still_exists else frame.list_url)


def show_token(request: HttpRequest, instance: Instance, *, frame: Frame) -> HttpResponse:
    """Show the Element token on a page that browsers do not store."""
    token = reveal_token(instance, user=request.user)
    context = {
        "title": _("Element token"),
        "original": instance,
        "advice": _("Anyone who has it can use this connection. Your access was recorded."),
        "secrets": {_("Element token"): token},
        "done_url": frame.instance_url(instance),
    }
    return frame.render(request, "shown_once.html", context)
