"""Who we are to a platform: organizations, their users, and the two secrets of every platform call."""

from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from instances.fields import SealedRow, SealedTextField

# So many values are given to a database as they are.
MAX_VALUES = 1_000


def inline_ids(rows: models.QuerySet[Any]) -> list[int] | models.QuerySet[Any]:
    """For `column__in`: the ids, read now where they are few. A database plans a long list better for values that it
    sees than for a subquery, of which it knows nothing.
    """
    ids = list(rows.order_by().values_list("pk", flat=True)[: MAX_VALUES + 1])
    return ids if len(ids) <= MAX_VALUES else rows.order_by().values("pk")


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def visible_to(self, account: User | AnonymousUser) -> Self:
        """Those that the account has a role in; all of them for a superuser."""
        if account.is_superuser:
            return self
        return self.filter(pk__in=Membership.objects.of(account).values("organization"))

    def operated_by(self, account: User | AnonymousUser) -> Self:
        """Those whose operator the account is; all of them for a superuser."""
        if account.is_superuser:
            return self
        operated = Membership.objects.of(account).filter(role=Membership.Role.OPERATOR)
        return self.filter(pk__in=operated.values("organization"))


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
    # Patterns of catalogue/hosts.py, by the key of the element whose instances may use them.
    private_hosts = models.JSONField(
        _("private hosts"),
        default=dict,
        blank=True,
        help_text=_(
            'On-premise hosts of this organization, which may have private addresses: {"element key": '
            '["crm.example.internal", "10.0.0.5:8443"]}. Secrets may be sent to them.'
        ),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")

    def __str__(self) -> str:
        return self.name

    @property
    def is_remote(self) -> bool:
        return bool(self.platform_url)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def of(self, account: User | AnonymousUser) -> Self:
        return self.filter(account_id=account.pk)


class Membership(models.Model):
    """What an account is to a whole organization. Which verbs it may use there, its groups say."""

    class Role(models.TextChoices):
        OPERATOR = "operator", _("operator")
        VIEWER = "viewer", _("viewer")

    organization = models.ForeignKey(
        Organization,
        on_delete=models.CASCADE,
        related_name="memberships",
        verbose_name=_("organization"),
    )
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="memberships",
        verbose_name=_("account"),
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["organization__name", "id"]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account"],
                name="membership_once_per_organization",
                violation_error_message=_("This account is a member of the organization already."),
            ),
            models.CheckConstraint(
                condition=Q(role__in=["operator", "viewer"]), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.get_role_display()} of {self.organization}"


class OrganizationUserQuerySet(models.QuerySet["OrganizationUser"]):
    def visible_to(self, account: User | AnonymousUser) -> Self:
        """The account's own, and those of organizations that it has a role in."""
        if account.is_superuser:
            return self
        organizations = Organization.objects.visible_to(account)
        return self.filter(Q(account_id=account.pk) | Q(organization__in=organizations))

    def operated_by(self, account: User | AnonymousUser) -> Self:
        """The account's own, and those of organizations whose operator it is."""
        if account.is_superuser:
            return self
        organizations = Organization.objects.operated_by(account)
        return self.filter(Q(account_id=account.pk) | Q(organization__in=organizations))


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

    objects = OrganizationUserQuerySet.as_manager()

    class Meta:
        ordering = ["organization__name", "email"]
        verbose_name = _("organization user")
        verbose_name_plural = _("organization users")
        permissions = [("reveal_secrets", "Can reveal the secrets of the platform API")]
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
