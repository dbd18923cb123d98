"""Bulk jobs: a file of instances on its way through, row by row."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils.translation import gettext_lazy as _

from instances.fields import SealedJSONField, SealedRow
from instances.models.instances import Instance
from instances.models.organizations import OrganizationUser

DEFAULT_CONCURRENCY = 32
# A row that was lost with its worker after so many attempts may be what ended it.
SUSPECT_ATTEMPTS = 3


class BulkJob(models.Model):
    """One file of instances to provision for one organization user.

    concurrency: so many rows at once in one process. checked_at: when the last dry run ended. dry_runs_begun: how many
    began since one was asked for or ended: all but the last were lost with their workers. resumed_at: when it was
    started or resumed last; reading_at: when the last rows of its file came in; ended_before: how many rows had ended then. enqueued_at: when workers were last asked to
    check it or to work on it; None while it runs in a command alone.
    """

    class State(models.TextChoices):
        READING = "reading", _("being read")
        DRAFT = "draft", _("draft")
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        CANCELLED = "cancelled", _("cancelled")
        FINISHED = "finished", _("finished")

    organization_user = models.ForeignKey(
        OrganizationUser,
        on_delete=models.PROTECT,
        related_name="bulk_jobs",
        verbose_name=_("organization user"),
    )
    actor = models.CharField(_("who"), max_length=254)
    name = models.CharField(_("file"), max_length=200, blank=True)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.READING, editable=False
    )
    concurrency = models.PositiveSmallIntegerField(_("at once"), default=DEFAULT_CONCURRENCY)
    is_skipping_existing = models.BooleanField(_("skips what is there already"), default=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    checked_at = models.DateTimeField(_("dry run ended at"), null=True, blank=True)
    reading_at = models.DateTimeField(null=True, blank=True, editable=False)
    dry_runs_begun = models.PositiveSmallIntegerField(default=0, editable=False)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    resumed_at = models.DateTimeField(_("resumed at"), null=True, blank=True)
    ended_before = models.PositiveIntegerField(default=0, editable=False)
    enqueued_at = models.DateTimeField(_("given to workers at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("bulk job")
        verbose_name_plural = _("bulk jobs")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["reading", "draft", "running", "paused", "cancelled", "finished"]
                ),
                name="bulk_job_state_known",
            )
        ]

    def __str__(self) -> str:
        return f"bulk job {self.pk}"


_SUSPECTED = models.Q(outcome="running", attempts__gte=SUSPECT_ATTEMPTS)


class BulkRowQuerySet(models.QuerySet["BulkRow"]):
    def unfinished(self) -> Self:
        return self.filter(due_at__isnull=False)

    def failed(self) -> Self:
        return self.filter(outcome=BulkRow.Outcome.FAILED)

    def quarantined(self) -> Self:
        """Rows that were lost with their workers again and again."""
        return self.filter(_SUSPECTED)

    def not_quarantined(self) -> Self:
        return self.exclude(_SUSPECTED)

    def held_by(self, holder: UUID) -> Self:
        return self.filter(holder=holder, outcome=BulkRow.Outcome.RUNNING)

    def release(self, *, at: datetime) -> int:
        """Give back rows that nobody works on any more; the attempt does not count. The number of rows."""
        return self.update(
            outcome=BulkRow.Outcome.PENDING,
            due_at=at,
            holder=None,
            attempts=Greatest(F("attempts") - 1, 0),
        )

    def next_due_at(self) -> datetime | None:
        """When the first of these rows is due; None when all have ended."""
        # The first of an index, where MIN() would read all of it.
        first = self.unfinished().order_by("due_at").values_list("due_at", flat=True)
        return first.first()

    def claim(
        self,
        job: BulkJob,
        *,
        holder: UUID,
        at: datetime,
        lease: timedelta,
        limit: int,
        resting: Collection[str] = (),
    ) -> list["BulkRow"]:
        """Take a few rows of a running job that are due, for the length of the lease.

        A row whose lease has run out is due again, so it is taken over from a process that was killed.
        resting: keys of elements whose rows are left alone.
        """
        due = self.filter(job=job, job__state=BulkJob.State.RUNNING, due_at__lte=at)
        if resting:
            due = due.exclude(element_key__in=resting)
        with transaction.atomic():
            free = due.select_for_update(skip_locked=True, of=("self",))
            rows = list(free.order_by("due_at", "number")[:limit])
            BulkRow.objects.filter(pk__in=[row.pk for row in rows]).update(
                outcome=BulkRow.Outcome.RUNNING,
                due_at=at + lease,
                holder=holder,
                attempts=F("attempts") + 1,
            )
        for row in rows:
            row.outcome, row.attempts = BulkRow.Outcome.RUNNING, row.attempts + 1
            row.holder, row.due_at = holder, at + lease
        return rows


class BulkRow(SealedRow):
    """One instance of a bulk job.

    number: its line, or its place in a JSON list. body: the `POST /instances` body, sealed, emptied when the
    instance has what is in it. due_at: a pending row is not taken before, a running one not taken over before; None
    when it has ended. holder: who claimed it. is_drafted: its instance was made for it, not found. verdict: what the dry run found wrong; empty when nothing.
    """

    class Outcome(models.TextChoices):
        PENDING = "pending", _("pending")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        AWAITING_AUTHORIZATION = "awaiting_authorization", _("awaiting authorization")
        SKIPPED = "skipped", _("skipped")
        CANCELLED = "cancelled", _("cancelled")

    job = models.ForeignKey(BulkJob, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField(_("number"))
    name = models.CharField(_("name"), max_length=200, blank=True)
    element_key = models.CharField(_("element"), max_length=100, blank=True)
    body = SealedJSONField(_("body"))
    outcome = models.CharField(
        _("outcome"), max_length=25, choices=Outcome.choices, default=Outcome.PENDING
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    holder = models.UUIDField(null=True, editable=False)
    instance = models.ForeignKey(
        Instance, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("instance")
    )
    is_drafted = models.BooleanField(default=False, editable=False)
    verdict = models.TextField(_("dry run"), blank=True)
    error = models.TextField(_("error"), blank=True)

    objects = BulkRowQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        verbose_name = _("bulk row")
        verbose_name_plural = _("bulk rows")
        indexes = [
            models.Index(fields=["job", "outcome"], name="bulk_row_outcome"),
            models.Index(fields=["job", "due_at", "number"], name="bulk_row_due"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="bulk_row_number_once"),
            models.CheckConstraint(
                condition=models.Q(
                    outcome__in=[
                        "pending",
                        "running",
                        "succeeded",
                        "failed",
                        "awaiting_authorization",
                        "skipped",
                        "cancelled",
                    ]
                ),
                name="bulk_row_outcome_known",
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__in=["pending", "running"], due_at__isnull=False)
                | (~models.Q(outcome__in=["pending", "running"]) & models.Q(due_at__isnull=True)),
                name="bulk_row_due_until_it_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"row {self.number}"
