"""Requests by staff to set up an element for their organization."""

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from instances.models.elements import Element
from instances.models.oauth_apps import OAuthApp
from instances.models.organizations import Organization


class ElementRequestQuerySet(models.QuerySet["ElementRequest"]):
    def open(self) -> Self:
        """Requests for elements that can be connected, and still have no OAuth app, not even a shared one."""
        organization = OuterRef("organization")
        is_usable = Q(organization=organization) | Q(shared_with=organization)
        apps = OAuthApp.objects.filter(is_usable, element=OuterRef("element"))
        elements = Element.objects.connectable()
        return self.filter(~Exists(apps), element__in=elements.order_by().values("pk"))

    def received_by(self, user: User | AnonymousUser) -> Self:
        """Requests to the organizations that the user operates."""
        return self.filter(organization__in=Organization.objects.operated_by(user))


class ElementRequest(models.Model):
    """One element that an organization's staff want to connect, and that needs an OAuth app first."""

    organization = models.ForeignKey(
        Organization,
        on_delete=models.CASCADE,
        related_name="element_requests",
        verbose_name=_("organization"),
    )
    element = models.ForeignKey(
        Element,
        on_delete=models.CASCADE,
        related_name="requests",
        verbose_name=_("element"),
    )
    # The first one who asked.
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="element_requests",
        verbose_name=_("requested by"),
    )
    created_at = models.DateTimeField(_("requested at"), auto_now_add=True)

    objects = ElementRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("element request")
        verbose_name_plural = _("element requests")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "element"], name="element_request_once_per_organization"
            )
        ]

    def __str__(self) -> str:
        return f"{self.element} for {self.organization}"
