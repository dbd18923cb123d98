"""The page between a button and what it does: a GET asks, the POST that answers it acts."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _, ngettext

from instances.admin.instance_actions import ACTIONS, ConfirmedAction, Enqueue, perform
from instances.errors import TaskNotEnqueuedError
from instances.models import Instance
from instances.pages.admin_pages import ModelAdmin, allow_leaving, render_confirmation

MAX_AT_ONCE = 500


def confirm_one(
    model_admin: ModelAdmin, request: HttpRequest, object_id: int, action_name: str
) -> HttpResponse:
    """One instance: the verb runs while the browser waits."""
    action = ACTIONS.get(action_name)
    instance = model_admin.get_object(request, str(object_id))
    if not isinstance(action, ConfirmedAction) or instance is None:
        raise Http404
    if not action.is_allowed(request.user, instance):
        raise PermissionDenied
    if request.method == "POST":
        return perform(action, model_admin, request, instance)
    context = {
        "title": action.label,
        "original": instance,
        "effect": action.effect,
        "is_destructive": action.is_destructive,
        "instances": [instance],
        "back_url": reverse("admin:instances_instance_change", args=[instance.pk]),
    }
    return allow_leaving(render_confirmation(model_admin, request, context))


def confirm_many(
    action: ConfirmedAction, enqueue: Enqueue
) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Instance]], HttpResponse | None]:
    """The list's action: it asks first, then leaves each instance to the background."""

    def run(
        model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Instance]
    ) -> HttpResponse | None:
        permitted = Instance.objects.operated_by(request.user)
        chosen = list(queryset.filter(pk__in=permitted).order_by("pk")[: MAX_AT_ONCE + 1])
        if len(chosen) > MAX_AT_ONCE:
            messages.error(request, _("Choose at most %d instances at once.") % MAX_AT_ONCE)
            return None
        if "confirmed" not in request.POST:
            return _ask_for_many(action, model_admin, request, chosen)
        enqueued = 0
        try:
            for instance in chosen:
                enqueue(instance.pk, request.user.get_username())
                enqueued += 1
        except TaskNotEnqueuedError as error:
            messages.error(request, _left(error, len(chosen) - enqueued))
        if enqueued:
            messages.success(request, _said(action, enqueued))
        return None

    run.__name__ = action.name
    permission = action.verb.removesuffix("_instance")
    run = admin.action(run, description=action.label, permissions=[permission])
    return run


def _ask_for_many(
    action: ConfirmedAction, model_admin: ModelAdmin, request: HttpRequest, chosen: list[Instance]
) -> HttpResponse:
    context = {
        "title": action.label,
        "effect": action.effect,
        "is_destructive": action.is_destructive,
        "instances": chosen,
        "action_name": action.name,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "back_url": reverse("admin:instances_instance_changelist"),
    }
    return render_confirmation(model_admin, request, context)


def _left(error: TaskNotEnqueuedError, count: int) -> str:
    left = ngettext(
        "%(why)s %(count)d instance was left as it is; try again later.",
        "%(why)s %(count)d instances were left as they are; try again later.",
        count,
    )
    return left % {"why": error, "count": count}


def _said(action: ConfirmedAction, count: int) -> str:
    said = ngettext(
        "%(label)s: %(count)d instance is being worked on. Reload the list to see how it went.",
        "%(label)s: %(count)d instances are being worked on. Reload the list to see how it went.",
        count,
    )
    return said % {"label": action.label, "count": count}
