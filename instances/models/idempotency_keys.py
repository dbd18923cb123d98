"""Idempotency keys: a create that a client may send again without making a second instance."""

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from instances.models.instances import Instance
from instances.models.organizations import OrganizationUser

LIFETIME = timedelta(hours=24)


class IdempotencyKey(models.Model):
    """One key of one organization user. body_digest is of the body it came with; instance is its outcome,
    empty while the first request still runs.
    """

    organization_user = models.ForeignKey(
        OrganizationUser, on_delete=models.CASCADE, related_name="idempotency_keys"
    )
    key_digest = models.CharField(max_length=64)
    body_digest = models.CharField(max_length=64)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(_("created at"), db_index=True)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [
            models.UniqueConstraint(
                fields=["organization_user", "key_digest"], name="idempotency_key_once_per_user"
            )
        ]

    def __str__(self) -> str:
        return f"idempotency key {self.pk}"
