"""OAuth clients that operators registered with providers."""

from datetime import date
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from instances.fields import SealedRow, SealedTextField
from instances.models.elements import Element
from instances.models.organizations import Organization


class OAuthAppQuerySet(models.QuerySet["OAuthApp"]):
    def ending_by(self, day: date) -> Self:
        """Apps whose secret has ended by this day, or will."""
        return self.filter(secret_ends_on__lte=day)


class OAuthApp(SealedRow):
    """A client of one organization, registered with the provider of one element."""

    organization = models.ForeignKey(
        Organization,
        on_delete=models.CASCADE,
        related_name="oauth_apps",
        verbose_name=_("organization"),
    )
    element = models.ForeignKey(
        Element, on_delete=models.PROTECT, related_name="oauth_apps", verbose_name=_("element")
    )
    # Public (RFC 6749 2.2).
    client_id = models.CharField(_("client ID"), max_length=500)
    client_secret = SealedTextField(_("client secret"))
    callback_url = models.URLField(
        _("callback URL"),
        blank=True,
        help_text=_(
            "As registered with the provider. Defaults to this installation's /oauth/callback."
        ),
    )
    scope = models.CharField(
        _("scope"),
        max_length=2000,
        blank=True,
        help_text=_("Defaults to the element's scopes."),
    )
    # Patterns (catalogue/hosts.py).
    hosts = models.JSONField(
        _("additional hosts"),
        default=list,
        blank=True,
        help_text=_(
            "Hosts that may receive the client secret, in addition to the element's own. One per line, for example "
            "crm.example.com or *.example.com."
        ),
    )
    secret_ends_on = models.DateField(
        _("client secret ends on"),
        null=True,
        blank=True,
        help_text=_("As the provider says. Lists warn before that day."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = OAuthAppQuerySet.as_manager()

    class Meta:
        ordering = ["organization__name", "element__name"]
        verbose_name = _("OAuth app")
        verbose_name_plural = _("OAuth apps")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "element"],
                name="oauth_app_one_per_element",
                violation_error_message=_(
                    "This organization already has an OAuth app for this element."
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.element} for {self.organization}"
