"""Authorization links: an account owner connects one instance without a user here."""

import hmac
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from instances.crypto import sealing
from instances.models.instances import Instance
from instances.models.organizations import Membership

LIFETIME = timedelta(days=7)
# with_perm() needs it if several backends are configured.
_BACKEND = "django.contrib.auth.backends.ModelBackend"


# A browser's cookie holds a secret for each authorization in progress and each link it claimed.
SECRETS_SEPARATOR = "."
MAX_BROWSER_SECRETS = 20


def is_kept(browser_digest: str, kept: str) -> bool:
    """Whether one of the secrets in a browser's cookie has this digest."""
    return any(hmac.compare_digest(browser_digest, digest) for digest in browser_digests(kept))


def browser_digests(kept: str) -> list[str]:
    """Return the digests of all secrets in a browser's cookie."""
    # One more: the secret of the latest visit to a link.
    secrets = kept.split(SECRETS_SEPARATOR)[: MAX_BROWSER_SECRETS + 1]
    return [digest for secret in secrets if secret for digest in sealing.digests(secret)]


class AuthorizationLinkQuerySet(models.QuerySet["AuthorizationLink"]):
    def with_token(self, token: str) -> Self:
        return self.filter(token_digest__in=sealing.digests(token))

    def open(self, *, at: datetime) -> Self:
        """Links that still work, if only for the browser that claimed them."""
        return self.unfinished(at=at).of_entitled_creators()

    def unfinished(self, *, at: datetime) -> Self:
        """Links that are neither completed, revoked nor expired."""
        return self.filter(completed_at=None, revoked_at=None, expires_at__gt=at)

    def of_entitled_creators(self) -> Self:
        """Links whose creator still has access: permissions.is_permitted() as a query."""
        permitted = User.objects.with_perm("instances.change_instance", backend=_BACKEND)
        operators = Membership.objects.filter(
            role=Membership.Role.OPERATOR,
            user=OuterRef("made_by"),
            organization=OuterRef("instance__organization_user__organization"),
        )
        is_own = Q(instance__organization_user__user=F("made_by"))
        return self.filter(
            Q(made_by__is_superuser=True) | is_own | Exists(operators), made_by__in=permitted
        )

    def with_status(self) -> Self:
        """Read what status needs in the same statement."""
        entitled = AuthorizationLink.objects.of_entitled_creators().filter(pk=OuterRef("pk"))
        return self.annotate(has_entitled_creator=Exists(entitled))

    def visible_to(self, user: User | AnonymousUser) -> Self:
        if user.is_superuser:
            return self
        return self.filter(instance__in=Instance.objects.visible_to(user))

    def claim(self, link: "AuthorizationLink", *, browser_digest: str, at: datetime) -> bool:
        """Bind a link to the first browser that uses it.

        False if another browser claimed it or it no longer works.
        """
        # PostgreSQL checks the condition on the row again after waiting for another claim.
        unclaimed = self.filter(pk=link.pk, used_at=None, pk__in=self.open(at=at).values("pk"))
        return unclaimed.update(used_at=at, browser_digest=browser_digest) == 1

    def complete(self, link: "AuthorizationLink", *, at: datetime) -> None:
        """Mark a link as completed."""
        self.filter(pk=link.pk, completed_at=None).update(completed_at=at)

    def revoke(self, link: "AuthorizationLink", *, at: datetime) -> bool:
        """Revoke a link.

        False if it was finished already. If its creator lost access, it can still be revoked.
        """
        return self.unfinished(at=at).filter(pk=link.pk).update(revoked_at=at) == 1


class AuthorizationLink(models.Model):
    """One link, /authorize/<token>.

    It works as long as its creator may change the instance.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting for the account owner")
        STARTED = "started", _("opened, not finished")
        COMPLETED = "completed", _("connected")
        EXPIRED = "expired", _("expired")
        REVOKED = "revoked", _("revoked")
        WITHOUT_CREATOR = "without creator", _("its creator no longer has access")

    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, related_name="links", verbose_name=_("instance")
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="authorization_links",
        verbose_name=_("created by"),
    )
    # The creator's message to the account owner.
    note = models.CharField(_("note"), max_length=500, blank=True)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    # Of the secret in the cookie of the browser that claimed the link.
    browser_digest = models.CharField(max_length=64, blank=True, editable=False)
    # The key of ENCRYPTION_KEYS that made the digests; empty in rows older than this column.
    digest_key_id = models.CharField(
        max_length=8, default="", db_default="", blank=True, editable=False
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    objects = AuthorizationLinkQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("authorization link")
        verbose_name_plural = _("authorization links")
        constraints = [
            models.CheckConstraint(
                condition=Q(used_at=None) | ~Q(browser_digest=""),
                name="authorization_link_used_by_a_browser",
            ),
        ]

    def __str__(self) -> str:
        return f"link {self.pk} for {self.instance}"

    def is_of_browser(self, kept: str) -> bool:
        """Whether this is the browser that claimed the link.

        kept: the secrets in its cookie.
        """
        return is_kept(self.browser_digest, kept)

    @property
    def actor(self) -> str:
        """How the history names the person who used the link."""
        return f"authorization link {self.pk} of {self.made_by.get_username()}"

    @property
    def status(self) -> Status:
        if self.completed_at:
            return self.Status.COMPLETED
        if self.revoked_at:
            return self.Status.REVOKED
        if self.expires_at <= timezone.now():
            return self.Status.EXPIRED
        if not self.has_entitled_creator:
            return self.Status.WITHOUT_CREATOR
        return self.Status.STARTED if self.used_at else self.Status.WAITING

    @cached_property
    def has_entitled_creator(self) -> bool:
        """Whether its creator may still change the instance.

        Cached, or read by with_status().
        """
        return AuthorizationLink.objects.of_entitled_creators().filter(pk=self.pk).exists()

    @property
    def is_revocable(self) -> bool:
        return self.is_open or self.status == self.Status.WITHOUT_CREATOR

    @property
    def is_open(self) -> bool:
        return self.status in {self.Status.WAITING, self.Status.STARTED}
