"""Bulk jobs: provision the instances of a file, row by row."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils.translation import gettext_lazy as _

from instances.fields import SealedJSONField, SealedRow, SealedTextField
from instances.models.instances import Instance
from instances.models.organizations import OrganizationUser

DEFAULT_CONCURRENCY = 32
# A row whose worker crashed this many times may be the cause.
SUSPECT_CRASHES = 3


class BulkJobQuerySet(models.QuerySet["BulkJob"]):
    def enqueued(self) -> Self:
        """Running jobs that workers were asked to process."""
        return self.filter(state=BulkJob.State.RUNNING, enqueued_at__isnull=False)


class BulkJob(models.Model):
    """One file of instances to provision for one organization user."""

    class State(models.TextChoices):
        READING = "reading", _("reading file")
        DRAFT = "draft", _("draft")
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        CANCELLED = "cancelled", _("cancelled")
        FINISHED = "finished", _("finished")
        UNREADABLE = "unreadable", _("file unreadable")

    organization_user = models.ForeignKey(
        OrganizationUser,
        on_delete=models.PROTECT,
        related_name="bulk_jobs",
        verbose_name=_("organization user"),
    )
    actor = models.CharField(_("actor"), max_length=254)
    name = models.CharField(_("file"), max_length=200, blank=True)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.READING, editable=False
    )
    # Rows in progress at the same time, per process.
    concurrency = models.PositiveSmallIntegerField(_("concurrency"), default=DEFAULT_CONCURRENCY)
    is_skipping_existing = models.BooleanField(_("skips existing instances"), default=False)
    # Whether rows with the same name and element as another row or instance are created, too.
    is_allowing_duplicates = models.BooleanField(_("allows duplicates"), default=False)
    # How an uploaded file is read: the element of rows that name none, and the encoding of its text.
    default_element = models.CharField(max_length=100, blank=True, editable=False)
    encoding = models.CharField(max_length=20, blank=True, editable=False)
    # What users should know about the file, one sentence per line; why it cannot be read.
    notes = models.TextField(_("notes"), blank=True, editable=False)
    error = models.TextField(_("error"), blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    # When the last dry run finished.
    checked_at = models.DateTimeField(_("dry run finished at"), null=True, blank=True)
    # When the last rows of the file were stored.
    reading_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The process that reads the file. Another one takes over when it stores no rows for a while.
    reader = models.UUIDField(null=True, editable=False)
    # How often reading the file has started.
    readings_begun = models.PositiveSmallIntegerField(default=0, editable=False)
    # Dry runs started since one was requested or finished: all but the last were lost with their workers.
    dry_runs_begun = models.PositiveSmallIntegerField(default=0, editable=False)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    # When the job was last started or resumed, and how many rows had finished by then.
    resumed_at = models.DateTimeField(_("resumed at"), null=True, blank=True)
    ended_before = models.PositiveIntegerField(default=0, editable=False)
    # When workers were last asked to check or process it; None while only a command processes it.
    enqueued_at = models.DateTimeField(_("queued at"), null=True, blank=True)
    # When a worker last began a chunk of it.
    served_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Workers leave the job alone until then: all its due rows have to wait. None once a chunk met no wait.
    rests_until = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    objects = BulkJobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("bulk job")
        verbose_name_plural = _("bulk jobs")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=[
                        "reading",
                        "draft",
                        "running",
                        "paused",
                        "cancelled",
                        "finished",
                        "unreadable",
                    ]
                ),
                name="bulk_job_state_known",
            )
        ]

    def __str__(self) -> str:
        return f"bulk job {self.pk}"


class BulkFilePart(SealedRow):
    """A part of an uploaded file, sealed since it is full of secrets. Deleted once the file has been read."""

    job = models.ForeignKey(BulkJob, on_delete=models.CASCADE, related_name="file_parts")
    number = models.PositiveIntegerField()
    # Each character is a byte (Latin-1).
    content = SealedTextField(_("content"))

    class Meta:
        ordering = ["number"]
        verbose_name = _("part of a bulk file")
        verbose_name_plural = _("parts of bulk files")
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="bulk_file_part_number_once")
        ]

    def __str__(self) -> str:
        return f"part {self.number} of the file of bulk job {self.job_id}"


_SUSPECTED = models.Q(outcome="running", crashes__gte=SUSPECT_CRASHES)


def _unless_held(count: int) -> models.Case:
    """The count, and 0 for a row that a process holds or held."""
    return models.Case(models.When(outcome="running", then=0), default=count)


class BulkRowQuerySet(models.QuerySet["BulkRow"]):
    def unfinished(self) -> Self:
        return self.filter(due_at__isnull=False)

    def failed(self) -> Self:
        return self.filter(outcome=BulkRow.Outcome.FAILED)

    def quarantined(self) -> Self:
        """Rows whose workers crashed repeatedly."""
        return self.filter(_SUSPECTED)

    def not_quarantined(self) -> Self:
        return self.exclude(_SUSPECTED)

    def held_by(self, holder: UUID) -> Self:
        return self.filter(holder=holder, outcome=BulkRow.Outcome.RUNNING)

    def release(self, *, at: datetime) -> int:
        """Release rows that no process works on any more, without counting the attempt.

        Returns their number.
        """
        return self.update(
            outcome=BulkRow.Outcome.PENDING,
            due_at=at,
            holder=None,
            attempts=Greatest(F("attempts") - 1, 0),
        )

    def next_due_at(self) -> datetime | None:
        """Return when the first of these rows is due; None if all have finished."""
        # Reads the first entry of an index; MIN() would read all of it.
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
        paused: Collection[str] = (),
    ) -> list["BulkRow"]:
        """Claim rows of a running job that are due, for the duration of the lease.

        A row whose lease has ended is due again, so rows of a killed process are taken over. That counts as a crash, and
        not as an attempt: most rows that a killed process held were not sent.
        paused: keys of elements whose rows are skipped for now.
        """
        due = self.filter(job=job, job__state=BulkJob.State.RUNNING, due_at__lte=at)
        if paused:
            due = due.exclude(element_key__in=paused)
        with transaction.atomic():
            free = due.select_for_update(skip_locked=True, of=("self",))
            rows = list(free.order_by("due_at", "number")[:limit])
            BulkRow.objects.filter(pk__in=[row.pk for row in rows]).update(
                outcome=BulkRow.Outcome.RUNNING,
                due_at=at + lease,
                holder=holder,
                attempts=F("attempts") + _unless_held(1),
                crashes=F("crashes") + 1 - _unless_held(1),
            )
        for row in rows:
            was_held = row.outcome == BulkRow.Outcome.RUNNING
            row.attempts, row.crashes = row.attempts + (not was_held), row.crashes + was_held
            row.outcome = BulkRow.Outcome.RUNNING
            row.holder, row.due_at = holder, at + lease
        return rows


class BulkRow(SealedRow):
    """One instance of a bulk job."""

    class Outcome(models.TextChoices):
        PENDING = "pending", _("pending")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        AWAITING_AUTHORIZATION = "awaiting_authorization", _("awaiting authorization")
        SKIPPED = "skipped", _("skipped")
        CANCELLED = "cancelled", _("cancelled")

    job = models.ForeignKey(BulkJob, on_delete=models.CASCADE, related_name="rows")
    # The line in the file, or the position in a JSON list.
    number = models.PositiveIntegerField(_("number"))
    name = models.CharField(_("name"), max_length=200, blank=True)
    element_key = models.CharField(_("element"), max_length=100, blank=True)
    # The number of the first row of the file with the same name and element; None for that row.
    duplicate_of = models.PositiveIntegerField(null=True, editable=False)
    # The body of `POST /instances`; emptied once the instance has its content.
    body = SealedJSONField(_("body"))
    outcome = models.CharField(
        _("outcome"), max_length=25, choices=Outcome.choices, default=Outcome.PENDING
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    # How often a process was lost that held it, since its last answer.
    crashes = models.PositiveSmallIntegerField(default=0, editable=False)
    # A pending row is not claimed and a running one not taken over before this; None once it has finished.
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    # The process that claimed the row.
    holder = models.UUIDField(null=True, editable=False)
    instance = models.ForeignKey(
        Instance, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("instance")
    )
    # Whether the instance was created for this row, not found.
    is_drafted = models.BooleanField(default=False, editable=False)
    # The problem that the dry run found; empty if none.
    verdict = models.TextField(_("dry run"), blank=True)
    error = models.TextField(_("error"), blank=True)
    # Why the row failed: a code of causes.Cause.
    cause = models.CharField(_("cause"), max_length=50, blank=True)

    objects = BulkRowQuerySet.as_manager()
    # Whether a dry run found that the job will skip the row. Not stored.
    is_skipped = False

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
