"""Which instances: the questions that operators, pages and the scheduler ask."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast, Now, RowNumber

from instances.causes import Cause
from instances.crypto import sealing
from instances.models.organizations import OrganizationUser, inline_ids

if TYPE_CHECKING:
    from instances.models.instances import Instance  # noqa: F401  named by InstanceQuerySet

# A refresh that is later than this suggests that no scheduler is running.
OVERDUE_AFTER = timedelta(minutes=5)
# Due rows of one organization and element that come before those of others.
SHARE = 10
# The sort key of lists: instances that are not connected first, then by name. One text value, because a database
# estimates the rows after a position from the first column alone. Without parameters, or SQLite would not use the index.
PLACE = models.Func(
    "state",
    "name",
    arg_joiner=" WHEN 'connected' THEN '1' ELSE '0' END || ",
    output_field=models.TextField(),
    template="(CASE %(expressions)s)",
)


class _NamesInOrder(models.JSONField):
    """Read an object that maps ids to names as a list of names, in order of id."""

    def from_db_value(self, *args: Any) -> list[str]:
        names: dict[str, str] = super().from_db_value(*args) or {}
        return [names[number] for number in sorted(names, key=int)]


class _TagNames(models.Func):
    """Aggregate names into an object, which every database supports."""

    function = "JSONB_OBJECT_AGG"
    output_field = _NamesInOrder()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSON_GROUP_OBJECT", **context)


class InstanceQuerySet(models.QuerySet["Instance"]):
    def update(self, **changes: Any) -> int:
        """Update any column except state, which only move_instance() changes."""
        if "state" in changes:
            raise TypeError("Only move_instance() may change an instance's state.")
        return super().update(**changes)

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Instances of the organization users that the user may see; all for a superuser."""
        if user.is_superuser:
            return self
        return self.filter(organization_user__in=OrganizationUser.objects.visible_to(user))

    def listed_for(self, user: User | AnonymousUser) -> Self:
        """Like visible_to(), faster for long lists at the cost of one more query."""
        if user.is_superuser:
            return self
        users = OrganizationUser.objects.visible_to(user)
        return self.filter(organization_user__in=inline_ids(users))

    def operated_by(self, user: User | AnonymousUser) -> Self:
        """The user's own instances, and those of organizations that it operates."""
        if user.is_superuser:
            return self
        return self.filter(organization_user__in=OrganizationUser.objects.operated_by(user))

    def with_token(self, token: str) -> Self:
        """The instance of an Element token, found by its digest.

        A token that was replaced works until its overlap ends.
        """
        return self.with_token_digests(sealing.digests(token))

    def with_token_digests(self, digests: Sequence[Any]) -> Self:
        """As with_token(), for the digests of a token."""
        is_previous = Q(previous_token_digest__in=digests, previous_token_until__gt=Now())
        return self.filter(Q(token_digest__in=digests) | is_previous)

    def without_own_client(self) -> Self:
        """Instances whose configuration names no OAuth client."""
        # Names in a JSON list, whose operators not every database has.
        listed = self.alias(_secrets=Cast("secret_keys", models.TextField()))
        without = listed.exclude(_secrets__contains='"oauth.api.key"')
        return without.exclude(configuration__has_key="oauth.api.key")

    def of_account(self, digest: str) -> Self:
        """Instances of one account, by their account_digest; none if it is empty."""
        return self.exclude(account_digest="").filter(account_digest=digest)

    def sharing_accounts(self, among: Self) -> Self:
        """Instances whose account has several instances. among: which ones count."""
        known = among.exclude(account_digest="").order_by().values("account_digest")
        first, last = models.Min("pk"), models.Max("pk")
        several = known.annotate(first=first, last=last).filter(last__gt=models.F("first"))
        return self.exclude(account_digest="").filter(
            account_digest__in=several.values("account_digest")
        )

    def with_tag(self, name: str) -> Self:
        tags = apps.get_model("instances", "Tag").objects.filter(name=name)
        return self.filter(pk__in=tags.values("instance"))

    def with_problem(self, cause: str) -> Self:
        """Instances with this cause that are not paused.

        cause: a code of causes.Cause; empty for instances without one.
        """
        never_paused = [self.model.State.DRAFT, self.model.State.DELETING]
        rows = self.filter(Q(is_disabled=False) | Q(state__in=never_paused))
        is_quarantined = Q(quarantined_at__isnull=False)
        if cause == Cause.SECRETS_UNREADABLE:
            return rows.filter(Q(cause=cause) | is_quarantined)
        return rows.filter(~is_quarantined, cause=cause)

    def paused(self) -> Self:
        """Instances that are connected and disabled."""
        return self.filter(state=self.model.State.CONNECTED, is_disabled=True)

    def changed_since(self, state: str, *, at: datetime) -> Self:
        """Instances that entered this state at that time or later."""
        return self.filter(state=state, state_changed_at__gte=at)

    def waiting_since(self, state: str, *, at: datetime) -> Self:
        """Instances that have been in this state since that time or longer."""
        return self.filter(state=state, state_changed_at__lte=at)

    def unverified(self) -> Self:
        """Instances that are connected and enabled, whose credentials no exchange has proved."""
        return self.filter(state=self.model.State.CONNECTED, is_disabled=False, verified_at=None)

    def never_checked(self) -> Self:
        """Instances whose credentials were never checked."""
        return self.filter(last_checked_at=None)

    def without_refresh_token(self) -> Self:
        """Instances that have tokens, but no refresh token."""
        return self.filter(has_refresh_token=False)

    def overdue_for_refresh(self, *, at: datetime) -> Self:
        """Instances due for so long that no scheduler seems to be running."""
        return self.due_for_refresh(at=at - OVERDUE_AFTER)

    def with_links(self) -> Self:
        """Prefetch what has_open_link needs."""
        links = apps.get_model("instances", "AuthorizationLink").objects.with_status()
        return self.prefetch_related(models.Prefetch("links", links))

    def with_place(self) -> Self:
        """Annotate place, the sort key: not connected first, then by name."""
        return self.annotate(place=PLACE)

    def with_tag_names(self) -> Self:
        """Read tag_names in the same statement."""
        tags = apps.get_model("instances", "Tag").objects.filter(instance=models.OuterRef("pk"))
        return self.annotate(
            _tag_names=models.Subquery(tags.order_by().values_list(_TagNames("id", "name")))
        )

    def due_for_refresh(self, *, at: datetime) -> Self:
        """Instances due for a refresh that no process has leased.

        The longest overdue first.
        """
        due = self.filter(
            state=self.model.State.CONNECTED,
            is_disabled=False,
            refresh_due_at__lte=at,
            quarantined_at=None,
        )
        return due.unleased(at=at).order_by("refresh_due_at")

    def most_urgent_first(self) -> Self:
        """Order by the end of the access token, those that failed before last, providers shared out."""
        has_failed = models.Case(models.When(refresh_failures__gt=0, then=1), default=0)
        ends = models.F("expires_at").asc(nulls_last=True)
        return self.shared_out(has_failed, ends, "refresh_due_at")

    def shared_out(self, *order: Any) -> Self:
        """Order so that the first rows are not all of one organization and element.

        The first SHARE rows of each come before its others. order: before that, within them; as it is by default.
        """
        order = order or tuple(self.query.order_by)
        rank = models.Window(
            RowNumber(),
            partition_by=["element_id", "organization_user__organization_id"],
            order_by=order,
        )
        return self.annotate(_share=(rank - 1) / SHARE).order_by("_share", *order)

    def due_for_work(self, *, at: datetime) -> Self:
        """Instances due to be checked, reconciled or deleted; the longest overdue first."""
        is_paused = Q(state=self.model.State.CONNECTED, is_disabled=True)
        due = self.filter(next_action_at__lte=at, quarantined_at=None).exclude(is_paused)
        return due.order_by("next_action_at")

    def unleased(self, *, at: datetime | Now) -> Self:
        return self.filter(Q(leased_until=None) | Q(leased_until__lte=at))
