"""Authorization links: what lets an account's holder connect one instance without an account here."""

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from instances import crypto
from instances.models.instances import Instance

LIFETIME = timedelta(days=7)


class AuthorizationLinkQuerySet(models.QuerySet["AuthorizationLink"]):
    def with_token(self, token: str) -> Self:
        return self.filter(token_digest__in=crypto.digests(token))

    def open(self, *, at: datetime) -> Self:
        """Which can still be gone through, if only by the browser that claimed them."""
        live = self.filter(completed_at=None, revoked_at=None, expires_at__gt=at)
        return live.filter(made_by__is_active=True)

    def visible_to(self, account: User | AnonymousUser) -> Self:
        if account.is_superuser:
            return self
        return self.filter(instance__in=Instance.objects.visible_to(account))

    def claim(self, link: "AuthorizationLink", *, browser_digest: str, at: datetime) -> bool:
        """Bind it to the first browser that goes through it. False when another came first, or it is over."""
        unclaimed = self.open(at=at).filter(pk=link.pk, used_at=None)
        return unclaimed.update(used_at=at, browser_digest=browser_digest) == 1

    def complete(self, link: "AuthorizationLink", *, at: datetime) -> None:
        """It has done what it was made for."""
        self.filter(pk=link.pk, completed_at=None).update(completed_at=at)

    def revoke(self, link: "AuthorizationLink", *, at: datetime) -> bool:
        """False when it was over already."""
        return self.open(at=at).filter(pk=link.pk).update(revoked_at=at) == 1


class AuthorizationLink(models.Model):
    """One link, /authorize/<token>. The token is kept as a digest, and so is the cookie of the browser that used it.

    note: what its maker tells the account's holder. It ends with its maker's account here.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting for the account's holder")
        STARTED = "started", _("opened, not finished yet")
        COMPLETED = "completed", _("connected")
        EXPIRED = "expired", _("expired")
        REVOKED = "revoked", _("revoked")

    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, related_name="links", verbose_name=_("instance")
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="authorization_links",
        verbose_name=_("made by"),
    )
    note = models.CharField(_("note"), max_length=500, blank=True)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    browser_digest = models.CharField(max_length=64, blank=True, editable=False)
    # Which of ENCRYPTION_KEYS the digests were made with; empty in rows of before it was kept.
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

    @property
    def actor(self) -> str:
        """How the history names whoever went through it."""
        return f"authorization link {self.pk} of {self.made_by.get_username()}"

    @property
    def status(self) -> Status:
        if self.completed_at:
            return self.Status.COMPLETED
        if self.revoked_at or not self.made_by.is_active:
            return self.Status.REVOKED
        if self.expires_at <= timezone.now():
            return self.Status.EXPIRED
        return self.Status.STARTED if self.used_at else self.Status.WAITING

    @property
    def is_open(self) -> bool:
        return self.status in {self.Status.WAITING, self.Status.STARTED}
