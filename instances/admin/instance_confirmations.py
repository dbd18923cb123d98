"""The page between a button and its action: a GET asks, the POST acts."""

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
    """Confirm an action on one instance, and run it while the browser waits."""
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
    """Return a bulk action of the list that asks first, then enqueues a task for each instance."""

    def run(
        model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Instance]
    ) -> HttpResponse | None:
        permitted = Instance.objects.operated_by(request.user)
        chosen = list(queryset.filter(pk__in=permitted).order_by("pk")[: MAX_AT_ONCE + 1])
        if len(chosen) > MAX_AT_ONCE:
            messages.error(request, _("Select at most %d instances at once.") % MAX_AT_ONCE)
            return None
        if "confirmed" not in request.POST:
            return _ask_for_many(action, model_admin, request, chosen)
        enqueued = 0
        try:
            for instance in chosen:
                enqueue(instance.pk, request.user.get_username())
                enqueued += 1
        except TaskNotEnqueuedError as error:
            messages.error(request, _skipped_message(error, len(chosen) - enqueued))
        if enqueued:
            messages.success(request, _enqueued_message(action, enqueued))
        return None

    run.__name__ = action.name
    permission = action.permission.removesuffix("_instance")
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


def _skipped_message(error: TaskNotEnqueuedError, count: int) -> str:
    message = ngettext(
        "%(error)s %(count)d instance was skipped. Try again later.",
        "%(error)s %(count)d instances were skipped. Try again later.",
        count,
    )
    return message % {"error": error, "count": count}


def _enqueued_message(action: ConfirmedAction, count: int) -> str:
    message = ngettext(
        "%(action)s: %(count)d instance in progress. Reload the list to see the result.",
        "%(action)s: %(count)d instances in progress. Reload the list to see the results.",
        count,
    )
    return message % {"action": action.label, "count": count}
