"""Actions on a bulk job: the table of buttons, and the page that confirms each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy as _

from instances.bulk import tasks
from instances.bulk.jobs import (
    allow_duplicates,
    cancel_bulk_job,
    delete_bulk_job,
    forget_dry_run,
    pause_bulk_job,
    resume_bulk_job,
    retry_failures,
    start_bulk_job,
)
from instances.errors import StateConflictError, TaskNotEnqueuedError
from instances.models import BulkJob
from instances.pages.admin_pages import ModelAdmin, render_confirmation

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

State = BulkJob.State


@dataclass(frozen=True, kw_only=True)
class BulkAction:
    """One button.

    states: when it is offered. effect: what will happen, shown on the confirmation page.
    """

    name: str
    label: "StrOrPromise"
    effect: "StrOrPromise"
    states: frozenset[str]
    carry_out: Callable[[BulkJob], object]
    permission: str = "change"
    is_destructive: bool = False

    def is_allowed(self, user: User | AnonymousUser) -> bool:
        return user.has_perm(f"instances.{self.permission}_bulkjob")

    def url(self, job: BulkJob) -> str:
        return reverse("admin:instances_bulkjob_action", args=[job.pk, self.name])


def confirm(
    model_admin: ModelAdmin, request: HttpRequest, object_id: int, action_name: str
) -> HttpResponse:
    """Ask for confirmation on GET, perform the action on POST."""
    action = ACTIONS.get(action_name)
    job = model_admin.get_object(request, str(object_id))
    if action is None or job is None:
        raise Http404
    if not action.is_allowed(request.user):
        raise PermissionDenied
    if request.method == "POST":
        return _perform(action, model_admin, request, job)
    context = {
        "title": action.label,
        "original": job,
        "effect": action.effect,
        "is_destructive": action.is_destructive,
        "rows": [f"{job} {job.name}"],
        "back_url": reverse("admin:instances_bulkjob_change", args=[job.pk]),
    }
    return render_confirmation(model_admin, request, context)


def _perform(
    action: BulkAction, model_admin: ModelAdmin, request: HttpRequest, job: BulkJob
) -> HttpResponse:
    pk = job.pk
    try:
        if job.state not in action.states:
            raise StateConflictError(
                f"Bulk job {pk} is {job.get_state_display()}, so this action is not available now."
            )
        model_admin.log_change(request, job, str(action.label))
        action.carry_out(job)
    except StateConflictError as error:
        messages.error(request, str(error))
    except TaskNotEnqueuedError as error:
        messages.warning(request, later(error))
    if BulkJob.objects.filter(pk=pk).exists():
        return redirect("admin:instances_bulkjob_change", pk)
    return redirect("admin:instances_bulkjob_changelist")


def later(error: TaskNotEnqueuedError) -> str:
    """Say why a job was not enqueued, and that the scheduler will do it."""
    return gettext(
        "%(why)s No action needed: the scheduler will enqueue the job within two minutes."
    ) % {"why": error}


def _by_workers(verb: Callable[[BulkJob], BulkJob]) -> Callable[[BulkJob], None]:
    return lambda job: tasks.enqueue_bulk_job(verb(job))


_TABLE = (
    BulkAction(
        name="start",
        label=_("Start"),
        effect=_("Its rows will be provisioned in the background, several at once."),
        states=frozenset({State.DRAFT}),
        carry_out=_by_workers(start_bulk_job),
    ),
    BulkAction(
        name="check",
        label=_("Dry run"),
        effect=_("Every row will be checked again. Nothing will be sent."),
        states=frozenset({State.DRAFT}),
        carry_out=_by_workers(forget_dry_run),
    ),
    BulkAction(
        name="allow-duplicates",
        label=_("Create duplicates too"),
        effect=_(
            "Rows with the same name and element as another row or an existing instance will create further instances. "
            "Every row will be checked again. Nothing will be sent."
        ),
        states=frozenset({State.DRAFT}),
        carry_out=_by_workers(allow_duplicates),
    ),
    BulkAction(
        name="pause",
        label=_("Pause"),
        effect=_("Rows in progress will finish. No new rows will start."),
        states=frozenset({State.RUNNING}),
        carry_out=pause_bulk_job,
    ),
    BulkAction(
        name="resume",
        label=_("Resume"),
        effect=_("The job will continue where it was paused."),
        states=frozenset({State.PAUSED}),
        carry_out=_by_workers(resume_bulk_job),
    ),
    BulkAction(
        name="retry",
        label=_("Retry failures"),
        effect=_("Only the failed rows will run again."),
        states=frozenset({State.FINISHED}),
        carry_out=_by_workers(retry_failures),
    ),
    BulkAction(
        name="cancel",
        label=_("Cancel"),
        effect=_(
            "Rows that have not started will not run, and their drafts and secrets will be deleted. "
            "Instances that were already sent will be kept."
        ),
        states=frozenset({State.READING, State.DRAFT, State.RUNNING, State.PAUSED}),
        carry_out=cancel_bulk_job,
        is_destructive=True,
    ),
    BulkAction(
        name="delete",
        label=_("Delete"),
        effect=_("The bulk job and its rows will be deleted. Its instances will be kept."),
        states=frozenset({State.CANCELLED, State.FINISHED, State.UNREADABLE}),
        carry_out=delete_bulk_job,
        permission="delete",
        is_destructive=True,
    ),
)
ACTIONS = {action.name: action for action in _TABLE}
