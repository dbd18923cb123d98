"""Tables of the sandbox: grants, tokens, and how it misbehaves.

Codes and tokens are stored only as digests. Using one claims it with an UPDATE that must count one row, so that a
second use is detected across processes.
"""

from datetime import timedelta
from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from instances.crypto import sealing

CODE_LIFETIME = timedelta(minutes=10)
ACCESS_TOKEN_LIFETIME = timedelta(hours=1)
MAX_DELAY_SECONDS = 60


class GrantQuerySet(models.QuerySet["Grant"]):
    def live(self) -> Self:
        return self.filter(revoked_at=None)

    def with_code(self, code: str) -> Self:
        return self.filter(code_digest__in=sealing.digests(code))

    def revoke(self) -> int:
        return self.live().update(revoked_at=timezone.now())


class Grant(models.Model):
    """One consent of the account owner. Revoking it invalidates all its tokens.

    code_digest: empty for a password grant. scope: space-separated (RFC 6749 3.3). resource: the URI of the requested
    API (RFC 8707).
    """

    code_digest = models.CharField(
        max_length=64, unique=True, null=True, blank=True, editable=False
    )
    code_challenge = models.CharField(_("PKCE code challenge"), max_length=128, blank=True)
    code_used_at = models.DateTimeField(_("code used at"), null=True, blank=True)
    redirect_uri = models.TextField(_("redirect URI"), blank=True)
    scope = models.TextField(_("scope"), blank=True)
    resource = models.TextField(_("resource"), blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        verbose_name = _("grant")
        verbose_name_plural = _("grants")

    def __str__(self) -> str:
        return f"grant {self.pk}"

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def is_code_expired(self) -> bool:
        return self.created_at + CODE_LIFETIME < timezone.now()

    def claim_code(self) -> bool:
        """Claim the code.

        If it was already used, revoke the whole grant and return False (RFC 6749 4.1.2).
        """
        this = Grant.objects.filter(pk=self.pk)
        is_first = this.filter(code_used_at=None).update(code_used_at=timezone.now()) == 1
        if not is_first:
            this.revoke()
        return is_first


class TokenQuerySet(models.QuerySet["Token"]):
    def with_access_token(self, access_token: str) -> Self:
        found = self.filter(access_token_digest__in=sealing.digests(access_token))
        return found.select_related("grant")

    def with_refresh_token(self, refresh_token: str) -> Self:
        found = self.filter(refresh_token_digest__in=sealing.digests(refresh_token))
        return found.select_related("grant")

    def expire(self) -> int:
        now = timezone.now()
        return self.filter(expires_at__gt=now).update(expires_at=now)


class Token(models.Model):
    """One response of the token endpoint: an access token and its refresh token."""

    grant = models.ForeignKey(
        Grant, on_delete=models.CASCADE, related_name="tokens", verbose_name=_("grant")
    )
    access_token_digest = models.CharField(max_length=64, unique=True, editable=False)
    refresh_token_digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    expires_at = models.DateTimeField(_("access token expires at"), db_index=True)
    rotated_at = models.DateTimeField(_("refresh token rotated at"), null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")

    def __str__(self) -> str:
        return f"token {self.pk} of {self.grant}"

    def check_client(self, _client: object) -> bool:
        # There is only one client, and it was authenticated before.
        return True

    def get_scope(self) -> str:
        return self.grant.scope

    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()

    def is_revoked(self) -> bool:
        return self.grant.revoked_at is not None

    def claim_rotation(self) -> bool:
        """Claim the refresh token.

        If it was already used, revoke the whole grant and return False (RFC 9700 4.14).
        """
        unused = Token.objects.filter(pk=self.pk, rotated_at=None)
        is_first = unused.update(rotated_at=timezone.now()) == 1
        if not is_first:
            Grant.objects.filter(pk=self.grant_id).revoke()
        return is_first


class Certificate(models.Model):
    """A certificate with which the sandbox's client may prove itself.

    thumbprint: its SHA-256 in base64url (x5t#S256, RFC 7515 4.1.8).
    """

    thumbprint = models.CharField(_("thumbprint"), max_length=43, unique=True)
    pem = models.TextField(_("certificate"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("certificate")
        verbose_name_plural = _("certificates")

    def __str__(self) -> str:
        return self.thumbprint


class Behaviour(models.Model):
    """How the sandbox misbehaves: one row, for all its users."""

    class Fault(models.TextChoices):
        NONE = "none", _("none")
        SERVER_ERROR = "server_error", _("status 500")
        HTML_PAGE = "html_page", _("an HTML page")
        TOO_MANY_CALLS = "too_many_calls", _("status 429")

    is_next_denied = models.BooleanField(_("the next authorization is denied"), default=False)
    fault = models.CharField(_("fault"), max_length=14, choices=Fault.choices, default=Fault.NONE)
    delay_seconds = models.PositiveSmallIntegerField(_("delay in seconds"), default=0)

    class Meta:
        verbose_name = _("behaviour")
        verbose_name_plural = _("behaviour")
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="sandbox_behaviour_one_row"),
            models.CheckConstraint(
                condition=models.Q(
                    fault__in=["none", "server_error", "html_page", "too_many_calls"]
                ),
                name="sandbox_behaviour_fault_known",
            ),
            models.CheckConstraint(
                condition=models.Q(delay_seconds__lte=MAX_DELAY_SECONDS),
                name="sandbox_behaviour_delay_bounded",
            ),
        ]

    def __str__(self) -> str:
        return self.get_fault_display()

    @classmethod
    def current(cls) -> "Behaviour":
        return cls.objects.get_or_create(pk=1)[0]

    @classmethod
    def claim_denial(cls) -> bool:
        """Claim the pending denial; False if there is none."""
        return cls.objects.filter(is_next_denied=True).update(is_next_denied=False) == 1


class CrmRecord(models.Model):
    """A record of the CRM that was created, changed or deleted. All others are in entities.py.

    properties: as the API shows them, but for the ETag. version: its ETag.
    """

    entity_set = models.CharField(_("entity set"), max_length=50)
    record_id = models.UUIDField(_("record id"))
    properties = models.JSONField(_("properties"), default=dict)
    is_deleted = models.BooleanField(_("deleted"), default=False)
    version = models.PositiveIntegerField(_("version"), default=1)

    class Meta:
        verbose_name = _("CRM record")
        verbose_name_plural = _("CRM records")
        constraints = [
            models.UniqueConstraint(
                fields=["entity_set", "record_id"], name="sandbox_record_once_in_entity_set"
            )
        ]

    def __str__(self) -> str:
        return f"{self.entity_set}({self.record_id})"
