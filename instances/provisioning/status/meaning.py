"""Say what the data of an instance means: its status on every page, and who must act.

meaning_of() is the table. annotate_status() says the same in SQL, for filters and counts; a test compares both.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, Case, CharField, Q, TextChoices, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from instances.causes import CAUSES, Cause, WhoActs
from instances.models import AuthorizationLink, Instance
from instances.models.instance_querysets import InstanceQuerySet
from instances.provisioning.lifecycle.states import State

# How long an account owner may take, and how long the program's own work usually takes.
OWNER_LIMIT = timedelta(hours=24)
WORK_LIMIT = timedelta(minutes=15)
# How long before the end of an access token that cannot be renewed to warn.
WARNING_TIME = timedelta(days=7)
_WORKING = frozenset({State.PROVISIONING, State.UNKNOWN, State.DELETING})
_FOR_OWNER = frozenset({State.DRAFT, State.AWAITING_AUTHORIZATION})
_NEVER_PAUSED = frozenset({State.DRAFT, State.DELETING})
_BROKEN = frozenset({State.NEEDS_REAUTHORIZATION, State.FAILED})
# An open link makes a difference in these states.
_LINKABLE = _BROKEN | _FOR_OWNER
# The recorded cause is that of an earlier attempt in these states.
WITHOUT_CAUSE = frozenset({State.DRAFT, State.AWAITING_AUTHORIZATION, State.PROVISIONING})


class Status(TextChoices):
    """What pages show; the most urgent first."""

    BROKEN = "broken", _("broken")
    ATTENTION = "attention", _("needs attention")
    UNVERIFIED = "unverified", _("not verified")
    PAUSED = "paused", _("paused")
    WAITING = "waiting", _("waiting")
    BUSY = "busy", _("in progress")
    HEALTHY = "healthy", _("healthy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about an instance."""

    state: str
    # A stored code; empty if the last exchange succeeded.
    cause: str = ""
    is_disabled: bool = False
    is_unreadable: bool = False
    # An exchange proved the credentials.
    is_verified: bool = True
    # Its provider has an incident.
    has_incident: bool = False
    # The access token has ended, and it has not been possible to renew it.
    is_token_ended: bool = False
    # The access token ends within WARNING_TIME and cannot be renewed.
    is_ending: bool = False
    # The provider rejected the refresh token once, and will be asked a second time.
    is_refused_once: bool = False
    has_open_link: bool = False
    # In its state for longer than OWNER_LIMIT or WORK_LIMIT.
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Meaning:
    status: Status
    who: WhoActs


def meaning_of(facts: Facts) -> Meaning:
    """Return the status to show, and who must act."""
    if facts.is_unreadable:
        return Meaning(Status.BROKEN, WhoActs.OPERATOR)
    if facts.is_disabled and facts.state not in _NEVER_PAUSED:
        return Meaning(Status.PAUSED, WhoActs.OPERATOR)
    if facts.state == State.CONNECTED:
        return _meaning_of_connected(facts)
    if facts.state in _BROKEN:
        return Meaning(Status.BROKEN, _who_repairs(facts))
    if facts.state in _WORKING:
        return _meaning_of_work(facts)
    if facts.state == State.DRAFT and not facts.has_open_link:
        return Meaning(Status.WAITING, WhoActs.OPERATOR)
    return Meaning(Status.ATTENTION if facts.is_late else Status.WAITING, WhoActs.ACCOUNT_OWNER)


def _meaning_of_connected(facts: Facts) -> Meaning:
    if facts.cause and facts.has_incident:
        return Meaning(Status.PAUSED, WhoActs.NOBODY)
    if facts.cause and facts.is_refused_once:
        return Meaning(Status.ATTENTION, WhoActs.NOBODY)
    if facts.cause:
        return Meaning(
            Status.BROKEN if facts.is_token_ended else Status.ATTENTION, who_acts_on(facts.cause)
        )
    if facts.is_ending:
        return Meaning(Status.ATTENTION, WhoActs.ACCOUNT_OWNER)
    return Meaning(Status.HEALTHY if facts.is_verified else Status.UNVERIFIED, WhoActs.NOBODY)


def _meaning_of_work(facts: Facts) -> Meaning:
    if not facts.is_late:
        return Meaning(Status.BUSY, WhoActs.NOBODY)
    cause = "" if facts.state in WITHOUT_CAUSE else facts.cause
    return Meaning(Status.ATTENTION, who_acts_on(cause) if cause else WhoActs.NOBODY)


def _who_repairs(facts: Facts) -> WhoActs:
    """Return who repairs what is not retried automatically."""
    if facts.has_open_link and not is_operator_only(facts.cause):
        return WhoActs.ACCOUNT_OWNER
    if not facts.cause and facts.state == State.NEEDS_REAUTHORIZATION:
        return WhoActs.ACCOUNT_OWNER
    who = who_acts_on(facts.cause)
    return WhoActs.OPERATOR if who == WhoActs.NOBODY else who


def who_acts_on(cause: str) -> WhoActs:
    """Return who acts on a stored cause; an unknown code is an unexpected error."""
    return CAUSES.get(cause, CAUSES[Cause.UNEXPECTED]).who


def who_acts_on_many(status: Status, state: str, cause: str) -> WhoActs:
    """Return who acts on instances that share a status, a state and a cause."""
    facts = Facts(
        state=state,
        cause=cause,
        is_unreadable=cause == Cause.SECRETS_UNREADABLE,
        is_ending=state == State.CONNECTED and not cause and status == Status.ATTENTION,
        has_open_link=state == State.DRAFT and status == Status.ATTENTION,
        is_late=True,
    )
    return meaning_of(facts).who


def is_operator_only(cause: str) -> bool:
    return cause in CAUSES and CAUSES[cause].is_operator_only


def facts_of(instance: Instance, *, at: datetime | None = None) -> Facts:
    """Return the facts of an instance at a time, now by default."""
    at = at or timezone.now()
    is_token_ended = instance.expires_at is not None and instance.expires_at <= at
    limit = WORK_LIMIT if instance.state in _WORKING else OWNER_LIMIT
    return Facts(
        state=instance.state,
        cause=instance.cause,
        is_disabled=instance.is_disabled,
        is_unreadable=bool(instance.quarantined_at) or not instance.is_readable,
        is_verified=instance.is_verified,
        is_token_ended=is_token_ended
        and (instance.refresh_due_at is None or instance.refresh_failures > 0),
        is_ending=_is_ending(instance, at=at),
        is_refused_once=instance.refresh_refusals > 0,
        has_open_link=instance.state in _LINKABLE and instance.has_open_link,
        is_late=instance.state_changed_at <= at - limit,
    )


def is_paused(instance: Instance) -> bool:
    """Return whether it is disabled, and what it would otherwise show does not matter."""
    return instance.is_disabled and instance.state not in _NEVER_PAUSED


def _is_ending(instance: Instance, *, at: datetime) -> bool:
    is_renewed = instance.refresh_due_at is not None or instance.has_refresh_token is not False
    ends_at = None if is_renewed else instance.expires_at
    return ends_at is not None and ends_at <= at + WARNING_TIME


def annotate_status(rows: InstanceQuerySet, *, at: datetime) -> InstanceQuerySet:
    """Annotate shown_status, as meaning_of() says it. Secrets count as unreadable once they are quarantined."""
    cases = [When(condition, then=Value(status)) for condition, status in _rules(at)]
    status = Case(*cases, default=Value(Status.WAITING), output_field=CharField())
    return rows.annotate(shown_status=status)


def _rules(at: datetime) -> list[tuple[Q, Status]]:
    """Return conditions, of which the first that is met decides. Without one, an instance is waiting."""
    is_disabled = Q(is_disabled=True) & ~Q(state__in=_NEVER_PAUSED)
    is_for_owner = Q(state=State.AWAITING_AUTHORIZATION) | _has_open_link(at)
    return [
        (_IS_QUARANTINED, Status.BROKEN),
        (is_disabled, Status.PAUSED),
        (_HAS_FAILED & Q(refresh_refusals__gt=0), Status.ATTENTION),
        (_HAS_FAILED & _is_unusable(at), Status.BROKEN),
        (_HAS_FAILED | (Q(state=State.CONNECTED) & _ends(at)), Status.ATTENTION),
        (Q(state=State.CONNECTED, verified_at=None), Status.UNVERIFIED),
        (Q(state=State.CONNECTED), Status.HEALTHY),
        (Q(state__in=_BROKEN), Status.BROKEN),
        (_is_late(_WORKING, at - WORK_LIMIT), Status.ATTENTION),
        (Q(state__in=_WORKING), Status.BUSY),
        (is_for_owner & _is_late(_FOR_OWNER, at - OWNER_LIMIT), Status.ATTENTION),
    ]


def with_status(rows: InstanceQuerySet, status: Status, *, at: datetime) -> InstanceQuerySet:
    """Keep the rows with a status."""
    if status == Status.ATTENTION:
        parts = [_HAS_FAILED, *_attention_by_time(at)]
        may_have = Q(pk__in=_union(rows.filter(part) for part in parts))
    else:
        may_have = _MAY_HAVE[status]
    annotated = annotate_status(rows.filter(may_have), at=at)
    if status in _RARE:
        return annotated.filter(Q(("shown_status", status)))
    # PostgreSQL expects that hardly any row equals the result of an expression, and sorts all that may. It expects that
    # an expression is true for half of them, and reads the first ones from an index.
    cases = [When(condition, then=Value(status == shown)) for condition, shown in _rules(at)]
    return annotated.filter(Case(*cases, default=Value(False), output_field=BooleanField()))


def with_own_status(rows: InstanceQuerySet, *, at: datetime) -> InstanceQuerySet:
    """Keep the rows whose status may differ from what state, disabled, cause and verified alone say.

    Each part has an index, so that the status of millions is counted from an index and these few rows.
    """
    parts = [_IS_QUARANTINED, _HAS_FAILED & _is_unusable(at), *_attention_by_time(at)]
    return rows.filter(pk__in=_union(rows.filter(part) for part in parts))


def _attention_by_time(at: datetime) -> list[Q]:
    """Return what indexes find, one each: instances that need attention because of a date."""
    return [
        Q(state=State.CONNECTED) & _ends(at),
        _is_late(_WORKING, at - WORK_LIMIT),
        _is_late({State.AWAITING_AUTHORIZATION}, at - OWNER_LIMIT),
        _has_open_link(at),
    ]


def _union(parts: Iterable[InstanceQuerySet]) -> Any:
    """Return the ids of the rows in any of these."""
    first, *others = (part.order_by().values("pk") for part in parts)
    return first.union(*others)


def _has_open_link(at: datetime) -> Q:
    """Whether it is a draft that waits for the account owner. The links are read once, not for each row."""
    linked = AuthorizationLink.objects.open(at=at).values("instance")
    return Q(state=State.DRAFT, pk__in=linked)


def _is_unusable(at: datetime) -> Q:
    """Whether the access token has ended and could not be renewed."""
    return Q(expires_at__lte=at) & (Q(refresh_due_at=None) | Q(refresh_failures__gt=0))


def _ends(at: datetime) -> Q:
    """Whether the access token ends soon and cannot be renewed."""
    return Q(has_refresh_token=False, refresh_due_at=None, expires_at__lte=at + WARNING_TIME)


def _is_late(states: Collection[State], limit: datetime) -> Q:
    return Q(state__in=states, state_changed_at__lte=limit)


_IS_QUARANTINED = Q(quarantined_at__isnull=False)
_HAS_FAILED = Q(state=State.CONNECTED) & ~Q(cause="")
# Usually few among millions.
_RARE = {Status.ATTENTION, Status.WAITING, Status.BUSY}
# What an index finds, and every instance of a status meets.
_MAY_HAVE: dict[Status, Q] = {
    Status.BROKEN: Q(state__in=_BROKEN) | _HAS_FAILED | _IS_QUARANTINED,
    Status.UNVERIFIED: Q(state=State.CONNECTED),
    Status.PAUSED: Q(is_disabled=True),
    Status.WAITING: Q(state__in=_FOR_OWNER),
    Status.BUSY: Q(state__in=_WORKING),
    Status.HEALTHY: Q(state=State.CONNECTED),
}
