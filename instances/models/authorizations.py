"""Authorizations: one visit of one browser to a provider and back."""

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from instances.crypto import sealing
from instances.fields import SealedJSONField, SealedRow, SealedTextField
from instances.models.authorization_links import AuthorizationLink, is_kept
from instances.models.instances import Instance

LIFETIME = timedelta(minutes=10)


class AuthorizationQuerySet(models.QuerySet["Authorization"]):
    def with_state(self, state: str) -> Self:
        return self.filter(state_digest__in=sealing.digests(state))

    def pending(self, *, at: datetime) -> Self:
        """Authorizations whose browser may still return."""
        return self.filter(used_at=None, expires_at__gt=at)

    def confirming(self) -> Self:
        return self.filter(outcome=Authorization.Outcome.CONFIRMING)

    def by_leavers(self) -> Self:
        """Last completed authorizations whose starter is no longer active."""
        completed = Authorization.objects.filter(outcome=Authorization.Outcome.COMPLETED)
        later = completed.filter(instance=OuterRef("instance"), pk__gt=OuterRef("pk"))
        done = self.filter(outcome=Authorization.Outcome.COMPLETED, started_by__is_active=False)
        return done.filter(~Exists(later))

    def claim(self, authorization: "Authorization", *, browser_digest: str, at: datetime) -> bool:
        """Use up an authorization and give its browser a new secret.

        False if it was used before or has expired.
        """
        unused = self.filter(pk=authorization.pk, used_at=None, expires_at__gt=at)
        return unused.update(used_at=at, browser_digest=browser_digest) == 1


class Authorization(SealedRow):
    """One visit to a provider, started by a user or through an authorization link."""

    class Outcome(models.TextChoices):
        PENDING = "pending", _("pending")
        # Another account was authorized than before; the tokens wait until the person confirms or expires_at has passed.
        CONFIRMING = "confirming", _("waiting for confirmation")
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
        # Keep who authorized access: a user with authorizations is deactivated, never deleted.
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
    # Of the state parameter.
    state_digest = models.CharField(max_length=64, unique=True, editable=False)
    # Of the browser's secret, which its cookie holds.
    browser_digest = models.CharField(max_length=64, editable=False)
    # The key of ENCRYPTION_KEYS that made the digests; empty in rows older than this column.
    digest_key_id = models.CharField(
        max_length=8, default="", db_default="", blank=True, editable=False
    )
    # OAuth 2.0 with PKCE.
    code_verifier = SealedTextField(_("PKCE code verifier"))
    # OAuth 1.0a.
    request_token_secret = SealedTextField(_("request token secret"))
    # What is changed in the instance's configuration if the authorization succeeds.
    configuration = SealedJSONField(_("changed configuration"))
    # The tokens of another account, while its outcome is CONFIRMING: provisioning.oauth.other_account.
    other_account = SealedJSONField(_("tokens of another account"), db_default="")
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
                condition=models.Q(
                    outcome__in=["pending", "confirming", "completed", "denied", "failed"]
                ),
                name="authorization_outcome_known",
            ),
            models.CheckConstraint(
                condition=models.Q(outcome="pending") | models.Q(used_at__isnull=False),
                name="authorization_ended_was_used",
            ),
        ]

    def is_of_browser(self, kept: str) -> bool:
        """Whether this is the browser of the authorization.

        kept: the secrets in its cookie.
        """
        return is_kept(self.browser_digest, kept)

    def __str__(self) -> str:
        return f"authorization of {self.instance}"
