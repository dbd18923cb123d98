"""Instances: authenticated connections of one account to one element."""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy as _

from instances.catalogue.authentication import AuthenticationType
from instances.errors import InstanceDeletedError
from instances.fields import SealedJSONField, SealedRow, SealedTextField
from instances.models.elements import Element
from instances.models.instance_querysets import PLACE, InstanceQuerySet
from instances.models.organizations import OrganizationUser


class Instance(SealedRow):
    """One authenticated connection.

    Its state is changed by provisioning.lifecycle.states.move_instance() only.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        AWAITING_AUTHORIZATION = "awaiting_authorization", _("awaiting authorization")
        PROVISIONING = "provisioning", _("provisioning")
        CONNECTED = "connected", _("connected")
        FAILED = "failed", _("failed")
        UNKNOWN = "unknown", _("unknown")
        NEEDS_REAUTHORIZATION = "needs_reauthorization", _("needs reauthorization")
        DELETING = "deleting", _("deleting")

    class ExternalAuthentication(models.TextChoices):
        NONE = "none", _("none")
        INITIAL = "initial", _("tokens obtained elsewhere")

    organization_user = models.ForeignKey(
        OrganizationUser,
        on_delete=models.PROTECT,
        db_index=False,  # instance_overview starts with it
        related_name="instances",
        verbose_name=_("organization user"),
    )
    element = models.ForeignKey(
        Element, on_delete=models.PROTECT, related_name="instances", verbose_name=_("element")
    )
    name = models.CharField(_("name"), max_length=200)
    # The app that supplies the client; None: the default one, or the client is its own.
    oauth_app = models.ForeignKey(
        "instances.OAuthApp",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,  # instance_oauth_app
        related_name="instances",
        verbose_name=_("OAuth app"),
    )
    authentication_type = models.CharField(_("authentication type"), max_length=20)
    external_authentication = models.CharField(
        _("external authentication"),
        max_length=10,
        choices=ExternalAuthentication.choices,
        default=ExternalAuthentication.NONE,
    )
    # The plain keys.
    configuration = models.JSONField(_("configuration"), default=dict, blank=True)
    # The secret keys.
    secret_configuration = SealedJSONField(_("secret configuration"))
    # The names of the secret keys, so that pages can mask them without decrypting.
    secret_keys = models.JSONField(_("secret keys"), default=list, blank=True)
    # The hosts that the stored secrets were entered for, each as [host, variable, …]. None in rows older than this
    # column: the hosts that the configuration names.
    secret_hosts = models.JSONField(null=True, default=None, editable=False)
    # The tokens of an OAuth provider: platforms.base.TokenSet as JSON.
    tokens = SealedJSONField(_("tokens"))
    # Whether tokens contain a refresh token, for queries; None without tokens.
    has_refresh_token = models.BooleanField(_("has a refresh token"), null=True, editable=False)
    expires_at = models.DateTimeField(_("access token expires at"), null=True, blank=True)
    # None if neither the provider nor the element's file states it.
    refresh_token_expires_at = models.DateTimeField(null=True, editable=False)
    token_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001
    token = SealedTextField(_("Element token"), digest_field="token_digest")
    # The Element token that a new one replaced, which works until previous_token_until.
    previous_token_digest = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001
    previous_token = SealedTextField(
        _("previous Element token"), digest_field="previous_token_digest", db_default=""
    )
    previous_token_until = models.DateTimeField(
        _("previous Element token works until"), null=True, blank=True, editable=False
    )
    # Of the authorization code last used, to recognise a repeated request.
    code_digest = models.CharField(max_length=64, blank=True, editable=False)
    # What identifies the account at the provider, by the field that the provider sent.
    # None: not known.
    account_identity = models.JSONField(
        _("account at the provider"), null=True, default=None, editable=False
    )
    # The same for all instances of one account and element (accounts.py); empty: not known.
    account_digest = models.CharField(max_length=64, default="", db_default="", editable=False)
    remote_id = models.BigIntegerField(_("ID on the remote platform"), null=True, blank=True)
    state = models.CharField(
        _("state"), max_length=25, choices=State.choices, default=State.DRAFT, editable=False
    )
    state_changed_at = models.DateTimeField(_("state changed at"), auto_now_add=True)
    is_disabled = models.BooleanField(_("disabled"), default=False)
    is_trace_logging = models.BooleanField(_("trace logging"), default=False)
    # When trace logging ends; None while it is off, and in rows older than this column.
    trace_logging_until = models.DateTimeField(_("trace logging until"), null=True, blank=True)
    # Why the instance is not healthy: a code of causes.Cause; empty if there is no problem.
    cause = models.CharField(_("cause"), max_length=50, blank=True)
    # The message of the error, for operators.
    cause_message = models.TextField(_("cause details"), blank=True)
    cause_interaction = models.ForeignKey(
        "instances.Interaction",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("interaction of the cause"),
    )
    # Counts the changes of tokens: a process that started from an older version must not overwrite them.
    tokens_version = models.PositiveIntegerField(default=0, editable=False)
    # When the scheduler refreshes the tokens.
    refresh_due_at = models.DateTimeField(_("next refresh"), null=True, blank=True)
    # A refresh token was sent and no response was stored yet.
    refresh_started_at = models.DateTimeField(_("refresh started at"), null=True, blank=True)
    refresh_failures = models.PositiveSmallIntegerField(_("failed refreshes"), default=0)
    refresh_refusals = models.PositiveSmallIntegerField(_("rejected refreshes"), default=0)
    # When the scheduler checks, reconciles or deletes the instance.
    next_action_at = models.DateTimeField(_("next action"), null=True, blank=True)
    consecutive_failures = models.PositiveSmallIntegerField(_("consecutive failures"), default=0)
    # Which process refreshes it, and for how long.
    lease_holder = models.UUIDField(null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_checked_at = models.DateTimeField(_("last checked at"), null=True, blank=True)
    last_succeeded_at = models.DateTimeField(_("last succeeded at"), null=True, blank=True)
    # When an exchange first proved the stored credentials; None: they are unverified.
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("instance")
        verbose_name_plural = _("instances")
        permissions = [("reveal_token", "Can reveal the Element token")]
        indexes = [
            models.Index(fields=["state", "state_changed_at"], name="instance_state"),
            # Also covers the counts on the admin's first page.
            models.Index(
                fields=["organization_user", "element", "state", "is_disabled", "cause"],
                name="instance_overview",
            ),
            models.Index(fields=["organization_user", "name"], name="instance_owner_name"),
            models.Index(PLACE, "id", name="instance_place"),
            models.Index(fields=["refresh_due_at"], name="instance_refresh_due"),
            models.Index(fields=["next_action_at"], name="instance_next_action"),
            models.Index(
                fields=["previous_token_digest"],
                condition=Q(previous_token_digest__isnull=False),
                name="instance_previous_token",
            ),
            # Filters of the admin's list. Migration 0001 adds another index, for searching by name.
            models.Index(fields=["cause", "-id"], condition=~Q(cause=""), name="instance_trouble"),
            models.Index(
                fields=["-id"], condition=Q(last_checked_at=None), name="instance_never_checked"
            ),
            models.Index(
                fields=["-id"],
                condition=Q(state="connected", is_disabled=False, verified_at=None),
                name="instance_unverified",
            ),
            models.Index(
                fields=["-id"],
                condition=Q(has_refresh_token=False),
                name="instance_no_refresh_token",
            ),
            models.Index(fields=["-id"], condition=Q(is_disabled=True), name="instance_disabled"),
            models.Index(
                fields=["account_digest", "id"],
                condition=~Q(account_digest=""),
                name="instance_account",
            ),
            models.Index(
                fields=["oauth_app"],
                condition=Q(oauth_app__isnull=False),
                name="instance_oauth_app",
            ),
            # For the status of instances, which these decide.
            models.Index(
                fields=["-id"],
                condition=Q(quarantined_at__isnull=False),
                name="instance_quarantined",
            ),
            models.Index(
                fields=["-id"],
                condition=Q(state="connected") & ~Q(cause=""),
                name="instance_failing",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(has_refresh_token=False, refresh_due_at=None),
                name="instance_ending",
            ),
            models.Index(
                fields=["organization_user"],
                condition=Q(state="connected", is_disabled=False, cause="", verified_at=None),
                name="instance_unverified_count",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=[
                        "draft",
                        "awaiting_authorization",
                        "provisioning",
                        "connected",
                        "failed",
                        "unknown",
                        "needs_reauthorization",
                        "deleting",
                    ]
                ),
                name="instance_state_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="connected") | models.Q(token_digest__isnull=False),
                name="instance_connected_has_token",
            ),
            models.UniqueConstraint(
                fields=["organization_user", "remote_id"], name="instance_remote_id_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        row = super().from_db(*args, **kwargs)
        row._loaded_state = row.__dict__.get("state")
        return row

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Reload like Django, but raise InstanceDeletedError if the row is gone."""
        try:
            super().refresh_from_db(*args, **kwargs)
        except Instance.DoesNotExist:
            raise InstanceDeletedError(self.label) from None
        self._tag_names = None
        self._loaded_state = self.state

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save any column except state, which only move_instance() changes."""
        if not self._state.adding and self.state != self._loaded_state:
            raise TypeError("Only move_instance() may change an instance's state.")
        super().save(*args, **kwargs)
        self._loaded_state = self.state

    def accept_move(self, *, state: str, **columns: Any) -> None:
        """Set what move_instance() has just written, without reading the row again."""
        for name, value in {"state": state, **columns}.items():
            setattr(self, name, value)
        self._loaded_state = state

    _loaded_state: str | None = None
    _tag_names: list[str] | None = None

    @property
    def organization(self) -> Any:
        return self.organization_user.organization

    @property
    def label(self) -> str:
        """How messages and recorded exchanges name the instance, even after its deletion."""
        return f"{self.name} ({self.element_key}, id {self.pk})"

    @property
    def element_key(self) -> str:
        return self.element.key

    @property
    def authentication(self) -> AuthenticationType:
        """The way of authentication, in the variant that the plain keys choose.

        Raises InvalidConfigurationError if the element no longer has it.
        """
        way = self.element.parsed.authentication_type(self.authentication_type)
        return way.with_variant(way.variant_of(self.configuration))

    def is_traced(self, *, at: datetime) -> bool:
        """Whether the bodies of its data calls are recorded at that time."""
        until = self.trace_logging_until
        return self.is_trace_logging and until is not None and at < until

    @property
    def is_connected(self) -> bool:
        return self.state == self.State.CONNECTED

    @property
    def is_verified(self) -> bool:
        """Whether an exchange with the provider proved the stored credentials."""
        return self.verified_at is not None

    @property
    def missing_scopes(self) -> list[str]:
        """The scopes that the provider did not grant, although they were asked for."""
        if "tokens" in self.unreadable_secrets():
            return []
        return list((self.tokens.reveal() or {}).get("missing_scopes", ()))

    @property
    def is_paused(self) -> bool:
        """Connected and disabled: neither refreshed nor checked."""
        return self.is_connected and self.is_disabled

    @property
    def next_refresh_at(self) -> datetime | None:
        return self.refresh_due_at if self.is_connected and not self.is_disabled else None

    @property
    def next_check_at(self) -> datetime | None:
        """When the scheduler checks, reconciles or deletes it."""
        return None if self.is_paused else self.next_action_at

    @property
    def has_open_link(self) -> bool:
        """Whether an authorization link can still connect it."""
        return any(link.is_open for link in self.links.all())

    @property
    def shown_state(self) -> tuple[str, str]:
        """The state and its label, or "disabled", for pages."""
        if self.is_paused:
            return "disabled", gettext("disabled")
        return self.state, self.get_state_display()

    @property
    def tag_names(self) -> list[str]:
        """Tag names in the order they were added.

        with_tag_names() reads them with the row.
        """
        if self._tag_names is None:
            return [tag.name for tag in self.tags.all()]
        return self._tag_names

    @tag_names.setter
    def tag_names(self, names: list[str]) -> None:
        """Set the names that the caller has inserted or will insert."""
        self._tag_names = names

    def full_configuration(self) -> dict[str, Any]:
        """Return plain and decrypted secret keys, for platforms only, never for a page.

        Raises UnreadableSecretError.
        """
        secrets: dict[str, Any] = self.reveal("secret_configuration")
        return {**self.configuration, **secrets}

    def readable_configuration(self) -> dict[str, Any]:
        """Like full_configuration(), without secret keys that cannot be decrypted."""
        return dict(self.configuration) if self.lost_keys else self.full_configuration()

    @property
    def lost_keys(self) -> list[str]:
        """The secret configuration keys that were set and can no longer be decrypted."""
        return self.secret_keys if "secret_configuration" in self.unreadable_secrets() else []

    @property
    def has_token(self) -> bool:
        """Whether it was ever connected; the Element token itself may be unreadable."""
        return self.token_digest is not None

    def is_expected(self, name: str) -> bool:
        match name:
            case "secret_configuration":
                return bool(self.secret_keys)
            case "tokens":
                return self.has_refresh_token is not None
        return super().is_expected(name)


class Tag(models.Model):
    """A name that instances can be found by."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(_("name"), max_length=200, db_index=True)

    class Meta:
        ordering = ["id"]
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        constraints = [
            models.UniqueConstraint(fields=["instance", "name"], name="tag_once_per_instance")
        ]

    def __str__(self) -> str:
        return self.name


class StateChange(models.Model):
    """One state change of an instance: when, by whom and why."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="state_changes")
    at = models.DateTimeField(_("at"), auto_now_add=True)
    from_state = models.CharField(_("from"), max_length=25, choices=Instance.State.choices)
    to_state = models.CharField(_("to"), max_length=25, choices=Instance.State.choices)
    actor = models.CharField(_("actor"), max_length=254)
    reason = models.TextField(_("reason"))

    class Meta:
        ordering = ["-id"]
        verbose_name = _("state change")
        verbose_name_plural = _("state changes")

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"
