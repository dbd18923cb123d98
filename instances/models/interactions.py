"""Interactions: recorded, redacted exchanges with platforms and providers."""

from datetime import datetime
from typing import Any, NoReturn, Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instances.models.instances import Instance
from instances.models.organizations import Organization, OrganizationUser, inline_ids

IS_FAILURE = ~Q(error="") | Q(status__gte=400)


class InteractionQuerySet(models.QuerySet["Interaction"]):
    """Append-only: interactions are never changed, and only removed by age."""

    def update(self, **changes: Any) -> NoReturn:
        raise TypeError("Interactions are append-only.")

    def delete(self) -> NoReturn:
        raise TypeError("Interactions are append-only; prune() removes old ones.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("Interactions are append-only.")

    def prune(self, *, before: datetime) -> int:
        """Delete those of these interactions that started before this time. Returns their number."""
        return super(InteractionQuerySet, self.filter(started_at__lt=before)).delete()[0]

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Interactions of the instances and organizations that the user may see.

        All for a superuser.
        """
        if user.is_superuser:
            return self
        # Each interaction names the organization of its instance, even after the instance is deleted.
        condition = Q(organization__in=inline_ids(Organization.objects.visible_to(user)))
        if own := inline_ids(OrganizationUser.objects.filter(Q(user_id=user.pk))):
            condition |= Q(instance__in=Instance.objects.filter(organization_user__in=own))
        return self.filter(condition)

    def failed(self) -> Self:
        return self.filter(IS_FAILURE)

    def succeeded(self) -> Self:
        return self.filter(Q(error=""), Q(status__lt=400) | Q(status=None))

    def of_instance(self, instance: Instance) -> Self:
        return self.filter(instance=instance)


class Interaction(models.Model):
    """One exchange: a request and its response, a received callback, or a reveal.

    Headers and bodies are redacted.
    """

    class Direction(models.TextChoices):
        OUT = "out", _("sent")
        IN = "in", _("received")

    class Kind(models.TextChoices):
        # Provisioning, refreshes, checks, callbacks, reveals: written at once.
        EXCHANGE = "exchange", _("exchange")
        # What programs do with a connection: written in batches, without bodies and query.
        DATA = "data", _("data call")

    kind = models.CharField(
        _("kind"), max_length=8, choices=Kind.choices, default=Kind.EXCHANGE, db_default="exchange"
    )
    instance = models.ForeignKey(
        Instance,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,  # interaction_timeline starts with it
        related_name="interactions",
        verbose_name=_("instance"),
    )
    organization = models.ForeignKey(
        Organization,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,  # interaction_organization starts with it
        related_name="interactions",
        verbose_name=_("organization"),
    )
    # The instance's label, which stays after the instance is deleted.
    subject = models.CharField(_("subject"), max_length=400)
    # A label such as "Refresh token".
    operation = models.CharField(_("operation"), max_length=60)
    direction = models.CharField(_("direction"), max_length=3, choices=Direction.choices)
    actor = models.CharField(_("actor"), max_length=254, blank=True)
    method = models.CharField(_("method"), max_length=10)
    url = models.TextField(_("URL"))
    request_headers = models.JSONField(_("request headers"), default=dict)
    request_body = models.TextField(_("request body"), blank=True)
    # The HTTP status; None if no response came.
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    response_headers = models.JSONField(_("response headers"), default=dict)
    response_body = models.TextField(_("response body"), blank=True)
    # Why the exchange failed, for example if no response came.
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started at"), db_index=True)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), default=0)
    # Lengths of the bodies of a data call.
    request_bytes = models.PositiveBigIntegerField(_("bytes sent"), null=True)
    response_bytes = models.PositiveBigIntegerField(_("bytes received"), null=True)

    objects = InteractionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("interaction")
        verbose_name_plural = _("interactions")
        # Migration 0001 adds another index, for searching by subject.
        indexes = [
            models.Index(fields=["instance", "-id"], name="interaction_timeline"),
            # Of a connection that is used a lot, the few exchanges among its data calls.
            models.Index(
                fields=["instance", "-id"],
                condition=Q(kind="exchange"),
                name="interaction_exchanges",
            ),
            models.Index(fields=["organization", "-id"], name="interaction_organization"),
            models.Index(fields=["operation", "-id"], name="interaction_operation"),
            models.Index(fields=["-id"], condition=IS_FAILURE, name="interaction_failed"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(direction__in=["out", "in"]), name="interaction_direction_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation}: {self.status or self.error}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("Interactions are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("Interactions are append-only.")

    @property
    def is_failure(self) -> bool:
        return bool(self.error) or (self.status or 0) >= 400
