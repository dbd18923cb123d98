"""Count the instances that a user may see by status, and group the problems by cause."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache
from django.db.models import Case, Count, F, Min, Value, When
from django.utils import timezone

from instances.causes import Audience, Cause, WhoActs
from instances.models import Element, Instance
from instances.models.instance_querysets import InstanceQuerySet
from instances.provisioning.lifecycle.states import CREATED, State
from instances.provisioning.status.explain import explain_many
from instances.provisioning.status.meaning import (
    Facts,
    Status,
    annotate_status,
    meaning_of,
    who_acts_on_many,
    with_own_status,
)

# Stop counting overdue refreshes here.
MAX_COUNTED = 1_000
# Read at most so many instances of a group to find out since when they fail.
MAX_READ = 1_000
BADGE_SECONDS = 60
_PROBLEMS = (Status.BROKEN, Status.ATTENTION)


@dataclass(slots=True)
class ProblemGroup:
    """The instances with the same status, state and cause, by element."""

    status: Status
    state: str
    cause: str
    elements: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.elements.total()

    @property
    def needs_action(self) -> bool:
        """Whether somebody must act; the others are retried automatically."""
        return who_acts_on_many(self.status, self.state, self.cause) != WhoActs.NOBODY

    def explain_to(self, audience: Audience) -> tuple[str, str, str]:
        """Return what happened, who must act, and the advice."""
        return explain_many(self.state, self.cause, audience)

    def since(self, user: User | AnonymousUser) -> datetime | None:
        """Return since when at least one of them has the problem; None if that is not recorded.

        A connected instance fails since some time after its last success.
        """
        rows = Instance.objects.listed_for(user).filter(state=self.state).with_problem(self.cause)
        if self.state != State.CONNECTED:
            oldest = rows.order_by("state_changed_at").values_list("state_changed_at", flat=True)
            return oldest.first()
        some = rows.order_by("-pk")[:MAX_READ]
        since: datetime | None = some.aggregate(since=Min("last_succeeded_at"))["since"]
        return since


@dataclass(frozen=True, slots=True)
class Overview:
    """The instances that a user may see, counted.

    problems: the most urgent first. overdue: refreshes, counted up to MAX_COUNTED.
    """

    statuses: Counter[Status]
    problems: list[ProblemGroup]
    overdue: int
    # Whether any of them was ever connected.
    has_connected: bool

    @property
    def total(self) -> int:
        return self.statuses.total()

    @property
    def needing_action(self) -> list[ProblemGroup]:
        return [group for group in self.problems if group.needs_action]

    @property
    def retried(self) -> list[ProblemGroup]:
        return [group for group in self.problems if not group.needs_action]

    @property
    def action_count(self) -> int:
        return sum(group.count for group in self.needing_action)


@dataclass(frozen=True, slots=True)
class _Count:
    # None: any.
    element: int | None
    state: str
    cause: str
    status: Status
    number: int


def overview_of(user: User | AnonymousUser) -> Overview:
    now = timezone.now()
    visible = Instance.objects.listed_for(user)
    counts = _counts(visible, at=now)
    overview = Overview(
        statuses=_by_status(counts),
        problems=_by_cause(counts),
        overdue=visible.overdue_for_refresh(at=now).order_by()[:MAX_COUNTED].count(),
        has_connected=any(count.number > 0 for count in counts if count.state in CREATED),
    )
    cache.set(_badge_key(user), overview.action_count, BADGE_SECONDS)
    return overview


def count_statuses(rows: InstanceQuerySet) -> Counter[Status]:
    """Count some instances by status."""
    return _by_status(_counts(rows, at=timezone.now()))


def action_count(user: User | AnonymousUser) -> int:
    """Return how many instances need somebody to act, as it was at most a minute ago."""
    count: int | None = cache.get(_badge_key(user))
    return overview_of(user).action_count if count is None else count


def _badge_key(user: User | AnonymousUser) -> str:
    return f"action-count-{user.pk}"


def _counts(visible: InstanceQuerySet, *, at: datetime) -> list[_Count]:
    """Count all instances from indexes, then correct the few whose own columns say more.

    Reading a million rows for their dates would take seconds.
    """
    # Only columns of the index instance_overview, so that the rows themselves are not read.
    columns = ("element", "state", "is_disabled", "cause")
    counted = visible.order_by().values_list(*columns).annotate(number=Count("*"))
    counts = [
        _Count(element, state, cause, _plain_status(state, is_disabled, cause), number)
        for element, state, is_disabled, cause, number in counted
    ]
    unverified = visible.unverified().filter(cause="").order_by().count()
    counts += _moved(unverified, Status.HEALTHY, Status.UNVERIFIED)
    return counts + _corrections(visible, at=at)


def _moved(number: int, before: Status, after: Status) -> list[_Count]:
    """Count so many connected instances, of any element, as another status."""
    state = State.CONNECTED
    return [_Count(None, state, "", before, -number), _Count(None, state, "", after, number)]


def _corrections(visible: InstanceQuerySet, *, at: datetime) -> list[_Count]:
    own = with_own_status(visible, at=at)
    is_unreadable = When(quarantined_at__isnull=False, then=Value(Cause.SECRETS_UNREADABLE))
    annotated = annotate_status(own, at=at).annotate(
        shown_cause=Case(is_unreadable, default=F("cause")),
        is_unverified=Case(When(verified_at=None, then=Value(True)), default=Value(False)),
    )
    columns = ("element", "state", "is_disabled", "cause", "is_unverified")
    grouped = annotated.order_by().values_list(*columns, "shown_cause", "shown_status")
    corrections = []
    for row in grouped.annotate(number=Count("*")):
        element, state, is_disabled, cause, is_unverified, shown_cause, status, number = row
        plain = _plain_status(state, is_disabled, cause, is_verified=not is_unverified)
        corrections += [
            _Count(element, state, shown_cause, Status(status), number),
            _Count(element, state, cause, plain, -number),
        ]
    return corrections


def _plain_status(state: str, is_disabled: bool, cause: str, *, is_verified: bool = True) -> Status:
    facts = Facts(state=state, is_disabled=is_disabled, cause=cause, is_verified=is_verified)
    return meaning_of(facts).status


def _by_status(counts: Iterable[_Count]) -> Counter[Status]:
    statuses: Counter[Status] = Counter()
    for count in counts:
        statuses[count.status] += count.number
    return +statuses


def _by_cause(counts: Iterable[_Count]) -> list[ProblemGroup]:
    groups: dict[tuple[Status, str, str], ProblemGroup] = {}
    problems = [count for count in counts if count.status in _PROBLEMS]
    named = Element.objects.filter(pk__in={count.element for count in problems})
    names = {element.pk: str(element) for element in named.only("name", "key")}
    for count in problems:
        key = (count.status, count.state, count.cause)
        group = groups.setdefault(key, ProblemGroup(*key))
        if count.element is not None:
            group.elements[names[count.element]] += count.number
    remaining = [group for group in groups.values() if group.count]
    return sorted(remaining, key=lambda group: (_PROBLEMS.index(group.status), -group.count))
