"""Who we are to a platform: organizations, their users, and the two secrets of every platform call."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from instances.fields import SealedRow, SealedTextField


class Organization(SealedRow):
    """A customer. It provisions on the embedded platform, or on the remote one at platform_url."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    platform_url = models.URLField(
        _("platform URL"),
        blank=True,
        help_text=_(
            "Empty: this program is the platform. Otherwise the remote platform's base URL."
        ),
    )
    secret_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001
    secret = SealedTextField(_("organization secret"), digest_field="secret_digest")
    endpoint_overrides = models.JSONField(
        _("endpoint overrides"),
        default=dict,
        blank=True,
        help_text=_(
            'Other endpoints for this organization: {"element key": {"URL prefix": "replacement"}}.'
        ),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")

    def __str__(self) -> str:
        return self.name

    @property
    def is_remote(self) -> bool:
        return bool(self.platform_url)


class OrganizationUser(SealedRow):
    """One person or program of an organization; instances belong to it."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="users", verbose_name=_("organization")
    )
    email = models.EmailField(_("e-mail address"))
    first_name = models.CharField(_("first name"), max_length=150, blank=True)
    last_name = models.CharField(_("last name"), max_length=150, blank=True)
    secret_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001
    secret = SealedTextField(_("user secret"), digest_field="secret_digest")
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="organization_users",
        verbose_name=_("account"),
        help_text=_("The sign-in account of this person, if they have one here."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["organization__name", "email"]
        verbose_name = _("organization user")
        verbose_name_plural = _("organization users")
        constraints = [
            models.UniqueConstraint(
                "organization",
                Lower("email"),
                name="organization_user_email_unique",
                violation_error_message=_("This organization already has a user of this address."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.organization})"
