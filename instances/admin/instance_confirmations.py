"""Bulk actions of the list of instances: they ask first, then enqueue a task for each instance."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _, ngettext

from instances import tasks
from instances.errors import TaskNotEnqueuedError
from instances.models import Instance
from instances.pages.admin_pages import ModelAdmin, render_confirmation
from instances.provisioning.actions import DELETE, Action
from instances.provisioning.lifecycle.delete import remaining_access

MAX_AT_ONCE = 500


def bulk_action(
    action: Action,
) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Instance]], HttpResponse | None]:
    """Return the action for many instances."""

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
                tasks.carry_out.enqueue(action.name, instance.pk, request.user.get_username())
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
    action: Action, model_admin: ModelAdmin, request: HttpRequest, chosen: list[Instance]
) -> HttpResponse:
    context = {
        "title": action.label,
        "effect": action.effect,
        "is_destructive": action.is_destructive,
        "notes": remaining_access(chosen) if action is DELETE else [],
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


def _enqueued_message(action: Action, count: int) -> str:
    message = ngettext(
        "%(action)s: %(count)d instance in progress. Reload the list to see the result.",
        "%(action)s: %(count)d instances in progress. Reload the list to see the results.",
        count,
    )
    return message % {"action": action.label, "count": count}
