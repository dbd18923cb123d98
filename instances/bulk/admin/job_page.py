"""What the page of a bulk job shows: its state in words and numbers, what to do next, and its rows."""

from datetime import timedelta
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import localize
from django.utils.text import capfirst
from django.utils.translation import gettext as _, ngettext

from instances.bulk.admin.actions import ACTIONS, BulkAction
from instances.bulk.admin.next_steps import next_steps, rows_url
from instances.bulk.jobs import Progress, is_dry_run_given_up, progress_of
from instances.bulk.plans import has_refused_duplicates
from instances.bulk.reading import is_reading_stalled
from instances.models import BulkJob, BulkRow
from instances.pages.bars import Part, bar_of, sentence_of
from instances.times import format_time

_State = BulkJob.State
_Outcome = BulkRow.Outcome
ROWS_PAGE = 50
REFRESH_SECONDS = 2
ALL, WRONG = "all", "wrong"
_ENDED = {_State.FINISHED, _State.CANCELLED, _State.UNREADABLE}
_MEANINGS: dict[str, str] = {
    _State.READING: "busy",
    _State.DRAFT: "waiting",
    _State.RUNNING: "busy",
    _State.PAUSED: "paused",
    _State.CANCELLED: "paused",
    _State.UNREADABLE: "broken",
}
# Good, neutral, bad. Pending rows are the rest of the bar.
_BAR = {
    _Outcome.SUCCEEDED: "healthy",
    _Outcome.SKIPPED: "paused",
    _Outcome.CANCELLED: "paused",
    _Outcome.AWAITING_AUTHORIZATION: "attention",
    _Outcome.FAILED: "broken",
    _Outcome.RUNNING: "busy",
}


def status_of(job: BulkJob, progress: Progress) -> tuple[str, str]:
    """Return the meaning of a job's state and the state in words. A job with failures is never green."""
    if is_reading_stalled(job):
        return "attention", _("stalled while reading")
    if job.state != _State.FINISHED:
        return _MEANINGS[job.state], job.get_state_display()
    if progress.failed:
        return "attention", _("finished with failures")
    if progress.counts[_Outcome.AWAITING_AUTHORIZATION]:
        return "attention", _("finished, awaiting authorization")
    return "healthy", _("finished")


def bar_of_job(progress: Progress) -> list[Part]:
    parts = [
        Part(meaning, outcome.label, progress.counts[outcome]) for outcome, meaning in _BAR.items()
    ]
    return bar_of(parts, total=max(progress.total, 1))


def progress_text(progress: Progress) -> str:
    """Return the rate and the time left; empty if they are unknown."""
    seconds = progress.seconds_left
    if seconds is None:
        return ""
    return _("%(rate)s rows per second, %(time)s left") % {
        "rate": localize(round(progress.rows_per_second, 1)),
        "time": timedelta(seconds=seconds),
    }


def job_page(request: HttpRequest, job: BulkJob) -> dict[str, Any]:
    progress = progress_of(job)
    meaning, status = status_of(job, progress)
    parts = bar_of_job(progress)
    is_changing = _is_changing(job)
    buttons = [
        action
        for action in ACTIONS.values()
        if _is_offered(action, job, progress) and action.is_allowed(request.user)
    ]
    may_retry = ACTIONS["retry"] in buttons
    return {
        "title": job.name or str(job).capitalize(),
        "original": job,
        "meaning": meaning,
        "status": status,
        "context_line": _context_line(job, progress),
        "progress": progress,
        "heading_count": _heading_count(job, progress),
        "is_ended": job.state in _ENDED,
        "parts": parts,
        "sentence": sentence_of(parts) or _("No rows are done."),
        "progress_text": progress_text(progress),
        "is_reading_stalled": is_reading_stalled(job),
        "is_upload_unread": job.state == _State.READING and job.file_parts.exists(),
        "notes": job.notes.splitlines(),
        "is_dry_run_given_up": is_dry_run_given_up(job),
        "refresh_seconds": REFRESH_SECONDS if is_changing else None,
        "wrong_count": job.rows.exclude(verdict="").count(),
        "buttons": [(action, action.url(job)) for action in buttons],
        "next_steps": [] if is_changing else next_steps(job, progress, may_retry=may_retry),
        "facts": _facts(job),
        "may_see_tokens": request.user.has_perm("instances.reveal_token"),
        **_rows_of(request, job, progress),
    }


def _heading_count(job: BulkJob, progress: Progress) -> int:
    return progress.counts[_Outcome.SUCCEEDED] if job.state in _ENDED else progress.ended


def _context_line(job: BulkJob, progress: Progress) -> str:
    rows = ngettext("%(n)s row", "%(n)s rows", progress.total) % {"n": localize(progress.total)}
    started = _("created by %(actor)s, %(at)s") % {
        "actor": job.actor,
        "at": format_time(job.created_at),
    }
    parts = [capfirst(str(job)), rows, started]
    if job.started_at and job.finished_at:
        duration = timedelta(seconds=round((job.finished_at - job.started_at).total_seconds()))
        took = _("took %(duration)s") % {"duration": duration}
        parts.append(took if duration else _("took less than a second"))
    return " · ".join(parts)


def _facts(job: BulkJob) -> list[dict[str, Any]]:
    owner = job.organization_user
    if job.is_allowing_duplicates:
        duplicates = _("created")
    else:
        duplicates = _("skipped") if job.is_skipping_existing else _("refused")
    return [
        {
            "label": _("Organization user"),
            "value": owner.email,
            "url": reverse("admin:instances_organizationuser_change", args=[owner.pk]),
        },
        {
            "label": _("Organization"),
            "value": owner.organization.name,
            "url": reverse("admin:instances_organization_change", args=[owner.organization_id]),
        },
        {"label": _("Parallel rows"), "value": job.concurrency},
        {"label": _("Duplicates, by name and element"), "value": duplicates},
        {"label": _("Dry run"), "value": _time(job.checked_at)},
        {"label": _("Started"), "value": _time(job.started_at)},
        {"label": _("Finished"), "value": _time(job.finished_at)},
    ]


def _time(at: Any) -> str:
    return format_time(at) if at else _("not yet")


def _is_offered(action: BulkAction, job: BulkJob, progress: Progress) -> bool:
    is_idle_retry = action.name == "retry" and not progress.failed
    is_idle = action.name == "allow-duplicates" and not has_refused_duplicates(job)
    return job.state in action.states and not is_idle_retry and not is_idle


def _is_changing(job: BulkJob) -> bool:
    is_being_checked = job.state == _State.DRAFT and job.checked_at is None
    is_being_read = job.state == _State.READING and not is_reading_stalled(job)
    return is_being_checked or is_being_read or job.state == _State.RUNNING


def _rows_of(request: HttpRequest, job: BulkJob, progress: Progress) -> dict[str, Any]:
    is_failed = job.state in _ENDED and progress.failed > 0
    chosen = request.GET.get("rows", _Outcome.FAILED if is_failed else ALL)
    cause = request.GET.get("cause", "")
    rows = _chosen_rows(job, chosen)
    if cause:
        rows = rows.filter(cause=cause)
    page = Paginator(rows, ROWS_PAGE).get_page(request.GET.get("page"))
    return {
        "filters": _filters(progress, chosen),
        "rows": page,
        "previous_url": page.has_previous()
        and rows_url(rows=chosen, cause=cause, page=str(page.previous_page_number())),
        "next_url": page.has_next()
        and rows_url(rows=chosen, cause=cause, page=str(page.next_page_number())),
    }


def _chosen_rows(job: BulkJob, chosen: str) -> QuerySet[BulkRow]:
    rows = job.rows.select_related("instance")
    if chosen == WRONG:
        return rows.exclude(verdict="")
    return rows.filter(outcome=chosen) if chosen in _Outcome.values else rows


def _filters(progress: Progress, chosen: str) -> list[dict[str, Any]]:
    """Build the filters: all rows, and each outcome that occurs."""
    outcomes = [(ALL, _("all"), progress.total)]
    outcomes += [
        (outcome.value, str(outcome.label), progress.counts[outcome])
        for outcome in _Outcome
        if progress.counts[outcome]
    ]
    return [
        {"url": rows_url(rows=value), "label": label, "count": count, "is_current": value == chosen}
        for value, label, count in outcomes
    ]
