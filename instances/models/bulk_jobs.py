"""Bulk jobs: a file of instances on its way through, row by row."""

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from instances.fields import SealedJSONField, SealedRow
from instances.models.instances import Instance
from instances.models.organizations import OrganizationUser


class BulkJob(models.Model):
    """One file of instances to provision for one organization user."""

    organization_user = models.ForeignKey(
        OrganizationUser,
        on_delete=models.PROTECT,
        related_name="bulk_jobs",
        verbose_name=_("organization user"),
    )
    actor = models.CharField(_("who"), max_length=254)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("bulk job")
        verbose_name_plural = _("bulk jobs")

    def __str__(self) -> str:
        return f"bulk job {self.pk}"


class BulkRowQuerySet(models.QuerySet["BulkRow"]):
    def pending(self) -> Self:
        return self.filter(outcome=BulkRow.Outcome.PENDING)

    def claim(self, row: "BulkRow") -> bool:
        """Take a pending row. False when another process has it."""
        waiting = self.filter(pk=row.pk, outcome=BulkRow.Outcome.PENDING)
        return waiting.update(outcome=BulkRow.Outcome.RUNNING) == 1


class BulkRow(SealedRow):
    """One instance of a bulk job. body is the `POST /instances` body, sealed, emptied when the row is done."""

    class Outcome(models.TextChoices):
        PENDING = "pending", _("pending")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")

    job = models.ForeignKey(BulkJob, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField(_("number"))
    name = models.CharField(_("name"), max_length=200, blank=True)
    body = SealedJSONField(_("body"))
    outcome = models.CharField(
        _("outcome"), max_length=10, choices=Outcome.choices, default=Outcome.PENDING
    )
    instance = models.ForeignKey(
        Instance, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("instance")
    )
    error = models.TextField(_("error"), blank=True)

    objects = BulkRowQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        verbose_name = _("bulk row")
        verbose_name_plural = _("bulk rows")
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="bulk_row_number_once"),
            models.CheckConstraint(
                condition=models.Q(outcome__in=["pending", "running", "succeeded", "failed"]),
                name="bulk_row_outcome_known",
            ),
        ]

    def __str__(self) -> str:
        return f"row {self.number}"
