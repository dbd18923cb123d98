"""Idempotency keys: clients repeat a create without creating a second instance."""

from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instances.crypto import sealing
from instances.models.instances import Instance
from instances.models.organizations import OrganizationUser

LIFETIME = timedelta(hours=24)


class IdempotencyKeyQuerySet(models.QuerySet["IdempotencyKey"]):
    def with_key(self, key: str) -> Self:
        return self.filter(key_digest__in=sealing.digests(key))

    def held_by(self, holder: UUID) -> Self:
        return self.filter(holder=holder)

    def lost(self, *, at: Any) -> Self:
        """Keys whose request has ended, with or without a result. at: a time, or the database's."""
        return self.filter(Q(held_until=None) | Q(held_until__lt=at))

    def live(self, *, at: datetime) -> Self:
        """Keys that a client may still repeat."""
        return self.filter(created_at__gt=at - LIFETIME)


class IdempotencyKey(models.Model):
    """One key of one organization user."""

    organization_user = models.ForeignKey(
        OrganizationUser, on_delete=models.CASCADE, related_name="idempotency_keys"
    )
    key_digest = models.CharField(max_length=64)
    # Of the body that the key was first sent with.
    body_digest = models.CharField(max_length=64)
    # The key of ENCRYPTION_KEYS that made the digests; empty in rows older than this column.
    digest_key_id = models.CharField(
        max_length=8, default="", db_default="", blank=True, editable=False
    )
    # The created instance; None while the first request is in progress.
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, null=True, related_name="+")
    # The request that creates it. It renews held_until meanwhile; afterwards another request may take over.
    holder = models.UUIDField(null=True, editable=False)
    held_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), db_index=True)

    objects = IdempotencyKeyQuerySet.as_manager()

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
