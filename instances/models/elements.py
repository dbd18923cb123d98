"""Elements: the catalogue's connectors that instances are created from."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instances.catalogue.availability import Availability
from instances.catalogue.definition import ElementDefinition
from instances.catalogue.loading import shipped_keys

# Every call needs definitions and they rarely change, so each is parsed once per process.
_PARSED: dict[int, tuple[datetime, ElementDefinition]] = {}


class ElementQuerySet(models.QuerySet["Element"]):
    def active(self) -> "ElementQuerySet":
        return self.filter(is_active=True)

    def connectable(self) -> "ElementQuerySet":
        """The active elements that new instances may use."""
        return self.active().exclude(status=Availability.RETIRED)

    def offered_to(self, organizations: Iterable[Any] | models.QuerySet[Any]) -> "ElementQuerySet":
        """The elements that any of these organizations, or their ids, may use for new instances."""
        offered = Element.organizations.through.objects.filter(organization__in=organizations)
        return self.filter(Q(is_for_all=True) | Q(pk__in=offered.values("element")))

    def public(self) -> "ElementQuerySet":
        """The shipped elements, also as an operator has corrected them."""
        return self.filter(Q(source=Element.Source.SHIPPED) | Q(key__in=shipped_keys()))

    def private(self) -> "ElementQuerySet":
        """The operator's own elements: Element.is_private."""
        return self.filter(source=Element.Source.OWN).exclude(key__in=shipped_keys())


class Element(models.Model):
    """One connector."""

    class Status(models.TextChoices):
        CURRENT = Availability.CURRENT, _("current")
        RETIRED = Availability.RETIRED, _("retired")
        UNVERIFIED = Availability.UNVERIFIED, _("unverified")

    class Source(models.TextChoices):
        SHIPPED = "shipped", _("shipped with Instance Manager")
        OWN = "own", _("added by an operator")

    # The number that clients of the platform API use.
    id = models.PositiveIntegerField(primary_key=True)
    key = models.CharField(_("key"), max_length=100, unique=True)
    name = models.CharField(_("name"), max_length=200)
    hub = models.CharField(_("hub"), max_length=50, db_index=True)
    source = models.CharField(_("source"), max_length=10, choices=Source.choices)
    is_active = models.BooleanField(_("active"), default=True)
    # That of the definition, for lists.
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.CURRENT
    )
    # The last day on which, as the definition says, its provider changes something.
    last_sunset_on = models.DateField(
        _("last announced change"), null=True, blank=True, editable=False
    )
    # Only for new instances: those that exist keep working.
    is_for_all = models.BooleanField(
        _("every organization may use it"), default=True, db_default=True
    )
    organizations = models.ManyToManyField(
        "instances.Organization",
        blank=True,
        related_name="offered_elements",
        verbose_name=_("organizations that may use it"),
    )
    definition = models.JSONField(_("definition"))
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = ElementQuerySet.as_manager()

    class Meta:
        ordering = ["name", "key"]
        verbose_name = _("element")
        verbose_name_plural = _("elements")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(source__in=["shipped", "own"]), name="element_source_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.key})"

    @property
    def is_private(self) -> bool:
        """Whether only authenticated callers see it: an operator's own that does not correct a shipped one."""
        return self.source == Element.Source.OWN and self.key not in shipped_keys()

    def is_offered_to(self, organization_id: int) -> bool:
        """Whether an organization may use it for new instances."""
        return self.is_for_all or self.organizations.filter(pk=organization_id).exists()

    @property
    def initials(self) -> str:
        """One or two letters in place of a logo."""
        words = [word for word in self.name.split() if word[0].isalnum()]
        return "".join(word[0] for word in words[:2]).upper()

    @cached_property
    def parsed(self) -> ElementDefinition:
        """The parsed definition."""
        known = _PARSED.get(self.pk)
        if known is None or known[0] != self.updated_at:
            definition = ElementDefinition.model_validate(self.definition)
            known = _PARSED[self.pk] = (self.updated_at, definition)
        return known[1]
