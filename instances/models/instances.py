"""Instances: one authenticated connection of one account to one element."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext, gettext_lazy as _

from instances import crypto
from instances.errors import InstanceDeletedError
from instances.fields import SealedJSONField, SealedRow, SealedTextField
from instances.models.elements import Element
from instances.models.organizations import OrganizationUser, inline_ids

# A refresh that is so late was not taken up by any scheduler.
OVERDUE_AFTER = timedelta(minutes=5)
# Where a list has an instance: first those that are not connected, then by name. It is one text, since a database guesses
# how many come after a row by the first column alone. Without parameters, or SQLite would not know its index again.
_PLACE = models.Func(
    "state",
    "name",
    arg_joiner=" WHEN 'connected' THEN '1' ELSE '0' END || ",
    output_field=models.TextField(),
    template="(CASE %(expressions)s)",
)


class _NamesInOrder(models.JSONField):
    """Reads an object of names by their ids as a list, in order of id."""

    def from_db_value(self, *args: Any) -> list[str]:
        names: dict[str, str] = super().from_db_value(*args) or {}
        return [names[number] for number in sorted(names, key=int)]


class _TagNames(models.Func):
    """An aggregate of all rows: every database has one for objects, and few order what they put into a list."""

    function = "JSONB_OBJECT_AGG"
    output_field = _NamesInOrder()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSON_GROUP_OBJECT", **context)


class InstanceQuerySet(models.QuerySet["Instance"]):
    def update(self, **changes: Any) -> int:
        """Any column but state, which provisioning.lifecycle.states.move_instance() alone may change."""
        if "state" in changes:
            raise TypeError("An instance's state is changed by move_instance() alone.")
        return super().update(**changes)

    def visible_to(self, account: User | AnonymousUser) -> Self:
        """Those of the organization users that the account may look at; all of them for a superuser."""
        if account.is_superuser:
            return self
        return self.filter(organization_user__in=OrganizationUser.objects.visible_to(account))

    def listed_for(self, account: User | AnonymousUser) -> Self:
        """As visible_to(), at the price of one more query, for lists that are long."""
        if account.is_superuser:
            return self
        users = OrganizationUser.objects.visible_to(account)
        return self.filter(organization_user__in=inline_ids(users))

    def operated_by(self, account: User | AnonymousUser) -> Self:
        """Those that the account may touch: its own, and those of organizations whose operator it is."""
        if account.is_superuser:
            return self
        return self.filter(organization_user__in=OrganizationUser.objects.operated_by(account))

    def with_token(self, token: str) -> Self:
        """The instance that an Element token stands for, found by its digest."""
        return self.filter(token_digest__in=crypto.digests(token))

    def with_tag(self, name: str) -> Self:
        return self.filter(pk__in=Tag.objects.filter(name=name).values("instance"))

    def with_problem(self, cause: str) -> Self:
        """Those with this cause, a name of instances.errors, that are not at rest; with none where it is empty."""
        return self.filter(cause=cause).exclude(state=Instance.State.CONNECTED, is_disabled=True)

    def resting(self) -> Self:
        """Connected and disabled."""
        return self.filter(state=Instance.State.CONNECTED, is_disabled=True)

    def changed_since(self, state: str, *, at: datetime) -> Self:
        """Which came into this state at that time or later."""
        return self.filter(state=state, state_changed_at__gte=at)

    def waiting_since(self, state: str, *, at: datetime) -> Self:
        """Which have been in this state since that time, or for longer."""
        return self.filter(state=state, state_changed_at__lte=at)

    def never_checked(self) -> Self:
        """Nobody has ever asked their provider whether they work."""
        return self.filter(last_checked_at=None)

    def without_refresh_token(self) -> Self:
        """Which have a provider's tokens, and no refresh token among them."""
        return self.filter(has_refresh_token=False)

    def overdue_for_refresh(self, *, at: datetime) -> Self:
        """Due for so long that no scheduler can be at work."""
        return self.due_for_refresh(at=at - OVERDUE_AFTER)

    def with_links(self) -> Self:
        """Reads what has_open_link needs for all of them at once."""
        links = apps.get_model("instances", "AuthorizationLink").objects.with_status()
        return self.prefetch_related(models.Prefetch("links", links))

    def with_place(self) -> Self:
        """Reads place, for lists that begin with those that are not connected, and go on by name."""
        return self.annotate(place=_PLACE)

    def with_tag_names(self) -> Self:
        """Reads the tags in the same statement, for tag_names."""
        tags = Tag.objects.filter(instance=models.OuterRef("pk")).order_by()
        return self.annotate(_tag_names=models.Subquery(tags.values_list(_TagNames("id", "name"))))

    def due_for_refresh(self, *, at: datetime) -> Self:
        """Whose tokens are to be refreshed now, and nobody is at it; the longest overdue first."""
        due = self.filter(
            state=Instance.State.CONNECTED,
            is_disabled=False,
            refresh_due_at__lte=at,
            quarantined_at=None,
        )
        return due.unleased(at=at).order_by("refresh_due_at")

    def due_for_work(self, *, at: datetime) -> Self:
        """Which are to be checked, reconciled or deleted to the end now; the longest overdue first."""
        is_paused = Q(state=Instance.State.CONNECTED, is_disabled=True)
        due = self.filter(next_action_at__lte=at, quarantined_at=None).exclude(is_paused)
        return due.order_by("next_action_at")

    def unleased(self, *, at: datetime | Now) -> Self:
        return self.filter(Q(leased_until=None) | Q(leased_until__lte=at))


class Instance(SealedRow):
    """One authenticated connection. configuration holds the plain keys, secret_configuration the rest,
    secret_keys their names, so that a page can mask them without decrypting.

    refresh_due_at and next_action_at say when the scheduler turns to it, lease_holder and leased_until who is
    refreshing it. refresh_started_at: a refresh token was sent and no answer has come yet.
    tokens_version counts what was stored in tokens, so that whoever began with an older one comes second.
    tokens: what an OAuth provider gave (platforms.base.TokenSet as JSON). has_refresh_token: whether a refresh token
    is in it, None without tokens; kept beside it, since nobody can look into a sealed column. code_digest: of the authorization code
    last spent, so that the same body sent again is recognised. cause, cause_message and
    cause_interaction say why it is not connected. remote_id: its id at a remote platform.
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
        db_index=False,  # instance_overview begins with it
        related_name="instances",
        verbose_name=_("organization user"),
    )
    element = models.ForeignKey(
        Element, on_delete=models.PROTECT, related_name="instances", verbose_name=_("element")
    )
    name = models.CharField(_("name"), max_length=200)
    authentication_type = models.CharField(_("way of authentication"), max_length=20)
    external_authentication = models.CharField(
        _("external authentication"),
        max_length=10,
        choices=ExternalAuthentication.choices,
        default=ExternalAuthentication.NONE,
    )
    configuration = models.JSONField(_("configuration"), default=dict, blank=True)
    secret_configuration = SealedJSONField(_("secret configuration"))
    secret_keys = models.JSONField(_("secret keys that are set"), default=list, blank=True)
    # The hosts that the stored secrets were entered for, each as [host, variable, …]. None, of rows older than this
    # column: those that the configuration names.
    secret_hosts = models.JSONField(null=True, default=None, editable=False)
    tokens = SealedJSONField(_("tokens"))
    has_refresh_token = models.BooleanField(_("has a refresh token"), null=True, editable=False)
    expires_at = models.DateTimeField(_("access token expires at"), null=True, blank=True)
    token_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001
    token = SealedTextField(_("Element token"), digest_field="token_digest")
    code_digest = models.CharField(max_length=64, blank=True, editable=False)
    remote_id = models.BigIntegerField(_("id at the remote platform"), null=True, blank=True)
    state = models.CharField(
        _("state"), max_length=25, choices=State.choices, default=State.DRAFT, editable=False
    )
    state_changed_at = models.DateTimeField(_("state changed at"), auto_now_add=True)
    is_disabled = models.BooleanField(_("disabled"), default=False)
    is_trace_logging = models.BooleanField(_("trace logging"), default=False)
    cause = models.CharField(_("cause"), max_length=50, blank=True)
    cause_message = models.TextField(_("cause in words"), blank=True)
    cause_interaction = models.ForeignKey(
        "instances.Interaction",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("interaction that shows the cause"),
    )
    tokens_version = models.PositiveIntegerField(default=0, editable=False)
    refresh_due_at = models.DateTimeField(_("next refresh"), null=True, blank=True)
    refresh_started_at = models.DateTimeField(_("refresh started at"), null=True, blank=True)
    refresh_failures = models.PositiveSmallIntegerField(_("failed refreshes"), default=0)
    refresh_refusals = models.PositiveSmallIntegerField(_("refused refreshes"), default=0)
    next_action_at = models.DateTimeField(_("next check"), null=True, blank=True)
    consecutive_failures = models.PositiveSmallIntegerField(_("failed checks"), default=0)
    lease_holder = models.UUIDField(null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_checked_at = models.DateTimeField(_("last checked at"), null=True, blank=True)
    last_succeeded_at = models.DateTimeField(_("last succeeded at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("instance")
        verbose_name_plural = _("instances")
        permissions = [("reveal_token", "Can reveal the Element token")]
        indexes = [
            models.Index(fields=["state", "state_changed_at"], name="instance_state"),
            # Also what the admin's first page counts by: it reads this index alone.
            models.Index(
                fields=["organization_user", "element", "state", "is_disabled", "cause"],
                name="instance_overview",
            ),
            models.Index(fields=["organization_user", "name"], name="instance_owner_name"),
            models.Index(_PLACE, "id", name="instance_place"),
            models.Index(fields=["refresh_due_at"], name="instance_refresh_due"),
            models.Index(fields=["next_action_at"], name="instance_next_action"),
            # Questions of the admin's list. Migration 0013 adds one more, that names are searched by.
            models.Index(fields=["cause", "-id"], condition=~Q(cause=""), name="instance_trouble"),
            models.Index(
                fields=["-id"], condition=Q(last_checked_at=None), name="instance_never_checked"
            ),
            models.Index(
                fields=["-id"],
                condition=Q(has_refresh_token=False),
                name="instance_no_refresh_token",
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
        """As Django's, but raises InstanceDeletedError when the row is gone."""
        try:
            super().refresh_from_db(*args, **kwargs)
        except Instance.DoesNotExist:
            raise InstanceDeletedError(self.label) from None
        self._tag_names = None
        self._loaded_state = self.state

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Any column but state, which provisioning.lifecycle.states.move_instance() alone may change."""
        if not self._state.adding and self.state != self._loaded_state:
            raise TypeError("An instance's state is changed by move_instance() alone.")
        super().save(*args, **kwargs)
        self._loaded_state = self.state

    def accept_move(self, *, state: str, **columns: Any) -> None:
        """Take over what move_instance() has just written, without reading the row again."""
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
        """How messages and recorded exchanges name it, also when it is gone."""
        return f"{self.name} ({self.element_key}, id {self.pk})"

    @property
    def element_key(self) -> str:
        return self.element.key

    @property
    def is_connected(self) -> bool:
        return self.state == self.State.CONNECTED

    @property
    def is_paused(self) -> bool:
        """Connected and disabled: neither refreshed nor checked."""
        return self.is_connected and self.is_disabled

    @property
    def next_refresh_at(self) -> datetime | None:
        return self.refresh_due_at if self.is_connected and not self.is_disabled else None

    @property
    def next_check_at(self) -> datetime | None:
        """When it is checked, reconciled or deleted to the end by itself."""
        return None if self.is_paused else self.next_action_at

    @property
    def has_open_link(self) -> bool:
        """Whether somebody can still connect it by an authorization link."""
        return any(link.is_open for link in self.links.all())

    @property
    def shown_state(self) -> tuple[str, str]:
        """What a page says of it: the state and its label, or that it is disabled."""
        if self.is_paused:
            return "disabled", gettext("disabled")
        return self.state, self.get_state_display()

    @property
    def tag_names(self) -> list[str]:
        """In the order in which they were given; read with the row by with_tag_names()."""
        if self._tag_names is None:
            return [tag.name for tag in self.tags.all()]
        return self._tag_names

    @tag_names.setter
    def tag_names(self, names: list[str]) -> None:
        """Those that the caller has inserted, or will insert."""
        self._tag_names = names

    def full_configuration(self) -> dict[str, Any]:
        """Plain and secret keys together. Decrypts: for platforms only, never for a page.

        Raises UnreadableSecretError.
        """
        secrets: dict[str, Any] = self.reveal("secret_configuration")
        return {**self.configuration, **secrets}

    def readable_configuration(self) -> dict[str, Any]:
        """As full_configuration(), without the secret keys where they do not decrypt."""
        return dict(self.configuration) if self.lost_keys else self.full_configuration()

    @property
    def lost_keys(self) -> list[str]:
        """The secret configuration keys that were set and do not decrypt any more."""
        return self.secret_keys if "secret_configuration" in self.unreadable_secrets() else []

    @property
    def has_token(self) -> bool:
        """Whether it was ever connected; its Element token may be unreadable."""
        return self.token_digest is not None

    def is_expected(self, name: str) -> bool:
        match name:
            case "secret_configuration":
                return bool(self.secret_keys)
            case "tokens":
                return self.has_refresh_token is not None
        return super().is_expected(name)


class Tag(models.Model):
    """A word that an instance can be found by."""

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
    """One move of an instance from one state to another: when, by whom, why."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="state_changes")
    at = models.DateTimeField(_("at"), auto_now_add=True)
    from_state = models.CharField(_("from"), max_length=25, choices=Instance.State.choices)
    to_state = models.CharField(_("to"), max_length=25, choices=Instance.State.choices)
    actor = models.CharField(_("who"), max_length=254)
    reason = models.TextField(_("why"))

    class Meta:
        ordering = ["-id"]
        verbose_name = _("state change")
        verbose_name_plural = _("state changes")

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"
