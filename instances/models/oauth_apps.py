"""Clients that an operator registered with a provider, so that nobody else types a client secret."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from instances.fields import SealedRow, SealedTextField
from instances.models.elements import Element
from instances.models.organizations import Organization


class OAuthApp(SealedRow):
    """One client registered with the provider of one element, for one organization.

    client_id is public (RFC 6749 2.2); client_secret is sealed. hosts: patterns (catalogue/hosts.py).
    """

    organization = models.ForeignKey(
        Organization,
        on_delete=models.CASCADE,
        related_name="oauth_apps",
        verbose_name=_("organization"),
    )
    element = models.ForeignKey(
        Element, on_delete=models.PROTECT, related_name="oauth_apps", verbose_name=_("element")
    )
    client_id = models.CharField(_("client id"), max_length=500)
    client_secret = SealedTextField(_("client secret"))
    callback_url = models.URLField(
        _("callback URL"),
        blank=True,
        help_text=_("As registered with the provider. Empty: this program's /oauth/callback."),
    )
    scope = models.CharField(
        _("scope"),
        max_length=2000,
        blank=True,
        help_text=_("Empty: the element's own scopes."),
    )
    hosts = models.JSONField(
        _("additional hosts"),
        default=list,
        blank=True,
        help_text=_(
            "Hosts that the client secret may be sent to, beside the element's own: one a line, for example "
            "crm.example.com or *.example.com."
        ),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["organization__name", "element__name"]
        verbose_name = _("OAuth app")
        verbose_name_plural = _("OAuth apps")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "element"],
                name="oauth_app_one_per_element",
                violation_error_message=_(
                    "This organization already has an OAuth app of this element."
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.element.name} for {self.organization}"
