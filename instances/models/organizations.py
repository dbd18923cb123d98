"""Organizations and their users, with the two secrets of platform calls."""

from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Case, Q, When
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from instances.fields import SealedRow, SealedTextField
from instances.pasted import comparable

# The longest list of values that is put into a statement.
MAX_VALUES = 1_000


def inline_ids(rows: models.QuerySet[Any]) -> list[int] | models.QuerySet[Any]:
    """Return the ids for `column__in`: read now if they are few, else as a subquery.

    A database plans a statement better for known values than for a subquery.
    """
    ids = list(rows.order_by().values_list("pk", flat=True)[: MAX_VALUES + 1])
    return ids if len(ids) <= MAX_VALUES else rows.order_by().values("pk")


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Organizations that the user is a member of; all for a superuser."""
        if user.is_superuser:
            return self
        return self.filter(pk__in=Membership.objects.of(user).values("organization"))

    def operated_by(self, user: User | AnonymousUser) -> Self:
        """Organizations that the user operates; all for a superuser."""
        if user.is_superuser:
            return self
        operated = Membership.objects.of(user).filter(role=Membership.Role.OPERATOR)
        return self.filter(pk__in=operated.values("organization"))

    def named(self, name: str) -> Self:
        """Organizations whose name people take for this one; the one written so first."""
        # A process of an older release may have inserted one without a key.
        without_key = Q(name_key="", name__iexact=name)
        is_exact = Case(When(name=name, then=0), default=1)
        return self.filter(Q(name_key=comparable(name)) | without_key).order_by(is_exact, "pk")


class Organization(SealedRow):
    """A customer, with the embedded or a remote platform (platform_url)."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    # By which names are compared: instances.pasted.comparable(). save() fills it.
    name_key = models.TextField(default="", db_default="", editable=False, db_index=True)
    platform_url = models.URLField(
        _("platform URL"),
        blank=True,
        help_text=_(
            "Base URL of a remote platform. Leave blank to provision on this installation."
        ),
    )
    secret_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001
    secret = SealedTextField(_("organization secret"), digest_field="secret_digest")
    endpoint_overrides = models.JSONField(
        _("endpoint overrides"),
        default=dict,
        blank=True,
        help_text=_(
            'Replacement endpoints for this organization: {"element key": {"URL prefix": "replacement"}}.'
        ),
    )
    # Patterns (catalogue/hosts.py), by the key of the element whose instances may use them.
    private_hosts = models.JSONField(
        _("private hosts"),
        default=dict,
        blank=True,
        help_text=_(
            'On-premise hosts that may have private addresses and may receive secrets: {"element key": '
            '["crm.example.internal", "10.0.0.5:8443"]}.'
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.name_key = comparable(self.name)
        if (names := kwargs.get("update_fields")) is not None and "name" in names:
            kwargs["update_fields"] = {*names, "name_key"}
        super().save(*args, **kwargs)

    @property
    def is_remote(self) -> bool:
        return bool(self.platform_url)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def of(self, user: User | AnonymousUser) -> Self:
        return self.filter(user_id=user.pk)


class Membership(models.Model):
    """A user's role in an organization.

    The user's groups decide which actions it may take there.
    """

    class Role(models.TextChoices):
        OPERATOR = "operator", _("operator")
        VIEWER = "viewer", _("viewer")

    organization = models.ForeignKey(
        Organization,
        on_delete=models.CASCADE,
        related_name="memberships",
        verbose_name=_("organization"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="memberships",
        verbose_name=_("user"),
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["organization__name", "id"]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user"],
                name="membership_once_per_organization",
                violation_error_message=_("This user is already a member of the organization."),
            ),
            models.CheckConstraint(
                condition=Q(role__in=["operator", "viewer"]), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()} of {self.organization}"


class OrganizationUserQuerySet(models.QuerySet["OrganizationUser"]):
    def visible_to(self, user: User | AnonymousUser) -> Self:
        """The user's own, and those of organizations that it is a member of."""
        if user.is_superuser:
            return self
        organizations = Organization.objects.visible_to(user)
        return self.filter(Q(user_id=user.pk) | Q(organization__in=organizations))

    def operated_by(self, user: User | AnonymousUser) -> Self:
        """The user's own, and those of organizations that it operates."""
        if user.is_superuser:
            return self
        organizations = Organization.objects.operated_by(user)
        return self.filter(Q(user_id=user.pk) | Q(organization__in=organizations))


class OrganizationUser(SealedRow):
    """A person or program of an organization; instances belong to it."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="users", verbose_name=_("organization")
    )
    email = models.EmailField(_("email address"))
    first_name = models.CharField(_("first name"), max_length=150, blank=True)
    last_name = models.CharField(_("last name"), max_length=150, blank=True)
    secret_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001
    secret = SealedTextField(_("user secret"), digest_field="secret_digest")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="organization_users",
        verbose_name=_("user"),
        help_text=_("The user who signs in here as this person, if any."),
    )
    may_read_credentials = models.BooleanField(
        _("may read credentials"),
        default=False,
        db_default=False,
        help_text=_(
            "Lets its programs read access tokens and API keys (GET /instances/{id}/credentials). Each time is recorded."
        ),
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
                violation_error_message=_(
                    "This organization already has a user with this email address."
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.organization})"
