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

    def usable_by(self, organization: Organization, element: Element) -> Self:
        """Apps that an organization may connect accounts of an element with, the one for new instances first.

        Shared ones come last. An organization that decides where requests go gets none, since it could send the secret
        to itself: one on a remote platform, or with endpoint overrides.
        """
        apps = self.filter(organization=organization, element=element)
        is_trusted = not (
            organization.is_remote or organization.endpoint_overrides.get(element.key)
        )
        if is_trusted:
            shared = OAuthApp.shared_with.through.objects.filter(organization=organization)
            is_shared = models.Q(pk__in=shared.values("oauthapp"))
            apps = self.filter(models.Q(organization=organization) | is_shared, element=element)
        is_own = models.Case(models.When(organization=organization, then=0), default=1)
        return apps.order_by(is_own, "-is_default", "pk")


class OAuthApp(SealedRow):
    """A client of one organization, registered with the provider of one element.

    An organization may have several for an element. A new instance keeps the one that it is connected with.
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
    name = models.CharField(
        _("name"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text=_("To tell several apps of the same element apart."),
    )
    # Of the organization's apps for the element, the one that new instances get.
    is_default = models.BooleanField(_("default"), default=True, db_default=True, editable=False)
    shared_with = models.ManyToManyField(
        Organization,
        blank=True,
        related_name="shared_oauth_apps",
        verbose_name=_("shared with"),
        help_text=_(
            "Other organizations that connect accounts with this app. They never see its secret, and cannot decide which "
            "hosts get it."
        ),
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
                fields=["organization", "element", "name"],
                name="oauth_app_name_unique",
                violation_error_message=_(
                    "This organization already has an OAuth app with this name for this element. Enter another name."
                ),
            ),
            models.UniqueConstraint(
                fields=["organization", "element"],
                condition=models.Q(is_default=True),
                name="oauth_app_one_default",
            ),
        ]

    def __str__(self) -> str:
        name = f" ({self.name})" if self.name else ""
        return f"{self.element} for {self.organization}{name}"
