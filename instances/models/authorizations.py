"""Authorizations: one trip of one browser to a provider and back."""

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from instances import crypto
from instances.fields import SealedJSONField, SealedRow, SealedTextField
from instances.models.authorization_links import AuthorizationLink, is_kept
from instances.models.instances import Instance

LIFETIME = timedelta(minutes=10)


class AuthorizationQuerySet(models.QuerySet["Authorization"]):
    def with_state(self, state: str) -> Self:
        return self.filter(state_digest__in=crypto.digests(state))

    def pending(self, *, at: datetime) -> Self:
        """Whose browser may still come back."""
        return self.filter(used_at=None, expires_at__gt=at)

    def by_leavers(self) -> Self:
        """The last of its instance that was completed, begun by an account that is no longer active."""
        completed = Authorization.objects.filter(outcome=Authorization.Outcome.COMPLETED)
        later = completed.filter(instance=OuterRef("instance"), pk__gt=OuterRef("pk"))
        done = self.filter(outcome=Authorization.Outcome.COMPLETED, started_by__is_active=False)
        return done.filter(~Exists(later))

    def claim(self, authorization: "Authorization", *, browser_digest: str, at: datetime) -> bool:
        """Use it up; its browser has another secret from now on. False when somebody came first, or it has expired."""
        unused = self.filter(pk=authorization.pk, used_at=None, expires_at__gt=at)
        return unused.update(used_at=at, browser_digest=browser_digest) == 1


class Authorization(SealedRow):
    """One trip to a provider, begun by an account, or by whoever opened a link.

    state and the browser's cookie are kept as digests; sealed are the PKCE verifier (OAuth 2.0), the request
    token's secret (OAuth 1.0a), and the configuration that is changed when it succeeds.
    """

    class Outcome(models.TextChoices):
        PENDING = "pending", _("pending")
        COMPLETED = "completed", _("completed")
        DENIED = "denied", _("denied")
        FAILED = "failed", _("failed")

    instance = models.ForeignKey(
        Instance,
        on_delete=models.CASCADE,
        related_name="authorizations",
        verbose_name=_("instance"),
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        # Who allowed access stays known: an account with authorizations is closed, never deleted.
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="authorizations",
        verbose_name=_("started by"),
    )
    link = models.ForeignKey(
        AuthorizationLink,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="authorizations",
        verbose_name=_("authorization link"),
    )
    state_digest = models.CharField(max_length=64, unique=True, editable=False)
    browser_digest = models.CharField(max_length=64, editable=False)
    # Which of ENCRYPTION_KEYS the digests were made with; empty in rows of before it was kept.
    digest_key_id = models.CharField(
        max_length=8, default="", db_default="", blank=True, editable=False
    )
    code_verifier = SealedTextField(_("PKCE code verifier"))
    request_token_secret = SealedTextField(_("request token secret"))
    configuration = SealedJSONField(_("changed configuration"))
    redirect_uri = models.URLField(_("redirect URI"), max_length=500)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)
    outcome = models.CharField(
        _("outcome"), max_length=10, choices=Outcome.choices, default=Outcome.PENDING
    )

    objects = AuthorizationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("authorization")
        verbose_name_plural = _("authorizations")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["pending", "completed", "denied", "failed"]),
                name="authorization_outcome_known",
            ),
            models.CheckConstraint(
                condition=models.Q(outcome="pending") | models.Q(used_at__isnull=False),
                name="authorization_ended_was_used",
            ),
        ]

    def is_of_browser(self, kept: str) -> bool:
        """Whether the browser that keeps these secrets is the one that is on this trip."""
        return is_kept(self.browser_digest, kept)

    def __str__(self) -> str:
        return f"authorization of {self.instance}"
