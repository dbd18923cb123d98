"""What to do next about the rows of a job that are not connected: one step for each cause."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.db.models import Case, Count, Value, When
from django.urls import reverse
from django.utils.translation import gettext as _

from instances.bulk.admin.actions import ACTIONS
from instances.bulk.jobs import Progress
from instances.causes import CAUSES, Cause
from instances.models import BulkJob, BulkRow
from instances.provisioning.status.explain import headline

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_Outcome = BulkRow.Outcome


@dataclass(frozen=True, slots=True)
class Way:
    """A button."""

    label: "StrOrPromise"
    url: str
    icon: str = ""


@dataclass(frozen=True, slots=True)
class NextStep:
    """Some rows, and what to do about them."""

    count: int
    title: "StrOrPromise"
    text: "StrOrPromise"
    ways: list[Way]


def next_steps(job: BulkJob, progress: Progress, *, may_retry: bool) -> list[NextStep]:
    """Return the steps, those with the most rows first."""
    steps = [*_of_waiting(progress), *_of_failed(job, may_retry=may_retry)]
    return sorted(steps, key=lambda step: -step.count)


def rows_url(**filters: str) -> str:
    """Return the address of some rows on the job's page."""
    return f"?{urlencode(filters)}#im-rows"


def _of_waiting(progress: Progress) -> Iterator[NextStep]:
    count = progress.counts[_Outcome.AWAITING_AUTHORIZATION]
    if count:
        yield NextStep(
            count,
            _("Waiting for account owners to authorize"),
            _("Open each instance: authorize it, or send a link to its account owner."),
            [Way(_("Show rows"), rows_url(rows=_Outcome.AWAITING_AUTHORIZATION))],
        )


def _of_failed(job: BulkJob, *, may_retry: bool) -> Iterator[NextStep]:
    has_instance = Case(When(instance=None, then=Value(False)), default=Value(True))
    rows = job.rows.failed().order_by().annotate(has_instance=has_instance)
    groups = rows.values_list("cause", "has_instance").annotate(number=Count("*"))
    retry = [Way(ACTIONS["retry"].label, ACTIONS["retry"].url(job))] if may_retry else []
    for cause, is_created, number in groups:
        if is_created:
            yield _of_created(cause, number, retry)
        else:
            yield _of_uncreated(job, cause, number, retry)


def _of_created(cause: str, count: int, retry: list[Way]) -> NextStep:
    """Return the step for instances that exist and could not be connected."""
    info = CAUSES.get(cause, CAUSES[Cause.UNEXPECTED])
    show = Way(_("Show rows"), rows_url(rows=_Outcome.FAILED, cause=cause))
    if info.is_retryable or info.is_operator_only:
        return NextStep(count, headline(cause), info.remedy, [*retry, show])
    return NextStep(count, headline(cause), info.remedy, [show])


def _of_uncreated(job: BulkJob, cause: str, count: int, retry: list[Way]) -> NextStep:
    """Return the step for rows of which nothing was created, so that they can be uploaded again."""
    info = CAUSES.get(cause, CAUSES[Cause.UNEXPECTED])
    if info.is_retryable:
        return NextStep(count, headline(cause), info.remedy, retry)
    result = reverse("admin:instances_bulkjob_result", args=[job.pk])
    return NextStep(
        count,
        headline(cause),
        _("Correct these rows in your file, and upload only them. Nothing was created for them."),
        [
            Way(_("Rows to correct"), f"{result}?{urlencode({'cause': cause})}", "down-file"),
            Way(_("Upload"), reverse("admin:instances_bulkjob_add"), "up-file"),
        ],
    )
