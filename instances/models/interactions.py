"""Interactions: every exchange with a platform or provider, redacted before it is written."""

from datetime import datetime
from typing import Any, NoReturn, Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instances.models.instances import Instance
from instances.models.organizations import Organization, OrganizationUser, inline_ids

_IS_FAILURE = ~Q(error="") | Q(status__gte=400)


class InteractionQuerySet(models.QuerySet["Interaction"]):
    """Append-only: what is recorded stays as it is until it is pruned by age."""

    def update(self, **changes: Any) -> NoReturn:
        raise TypeError("Interactions are append-only.")

    def delete(self) -> NoReturn:
        raise TypeError("Interactions are append-only; prune() removes old ones.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("Interactions are append-only.")

    def prune(self, *, before: datetime) -> int:
        """Remove what is older than before; the number removed."""
        return super(InteractionQuerySet, self.filter(started_at__lt=before)).delete()[0]

    def visible_to(self, account: User | AnonymousUser) -> Self:
        """Those of the instances and organizations that the account may look at; for a superuser all."""
        if account.is_superuser:
            return self
        # Each has the organization of its instance, also when that is gone.
        found = Q(organization__in=inline_ids(Organization.objects.visible_to(account)))
        if own := inline_ids(OrganizationUser.objects.filter(account_id=account.pk)):
            found |= Q(instance__in=Instance.objects.filter(organization_user__in=own))
        return self.filter(found)

    def failed(self) -> Self:
        return self.filter(_IS_FAILURE)

    def succeeded(self) -> Self:
        return self.filter(Q(error=""), Q(status__lt=400) | Q(status=None))

    def of_instance(self, instance: Instance) -> Self:
        return self.filter(instance=instance)


class Interaction(models.Model):
    """One exchange: a request of ours and its answer, a callback that came in, or a reveal.

    subject names the instance also after it is gone. status is None where no answer came; error then says
    what happened. Headers and bodies are redacted and cut.
    """

    class Direction(models.TextChoices):
        OUT = "out", _("sent")
        IN = "in", _("received")

    instance = models.ForeignKey(
        Instance,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,  # interaction_timeline begins with it
        related_name="interactions",
        verbose_name=_("instance"),
    )
    organization = models.ForeignKey(
        Organization,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,  # interaction_organization begins with it
        related_name="interactions",
        verbose_name=_("organization"),
    )
    subject = models.CharField(_("subject"), max_length=400)
    operation = models.CharField(_("operation"), max_length=60)
    direction = models.CharField(_("direction"), max_length=3, choices=Direction.choices)
    actor = models.CharField(_("who"), max_length=254, blank=True)
    method = models.CharField(_("method"), max_length=10)
    url = models.TextField(_("URL"))
    request_headers = models.JSONField(_("request headers"), default=dict)
    request_body = models.TextField(_("request body"), blank=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    response_headers = models.JSONField(_("answer's headers"), default=dict)
    response_body = models.TextField(_("answer's body"), blank=True)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started at"), db_index=True)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), default=0)

    objects = InteractionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("interaction")
        verbose_name_plural = _("interactions")
        # Migration 0013 adds one more, that subjects are searched by.
        indexes = [
            models.Index(fields=["instance", "-id"], name="interaction_timeline"),
            models.Index(fields=["organization", "-id"], name="interaction_organization"),
            models.Index(fields=["operation", "-id"], name="interaction_operation"),
            models.Index(fields=["-id"], condition=_IS_FAILURE, name="interaction_failed"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(direction__in=["out", "in"]), name="interaction_direction_known"
            )
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
