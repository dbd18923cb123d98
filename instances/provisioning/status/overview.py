"""Count the instances that a user may see, and group the problems by cause."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count
from django.utils import timezone

from instances.causes import Audience
from instances.models import Element, Instance, ProcessBeat
from instances.models.instance_querysets import InstanceQuerySet
from instances.provisioning.lifecycle.states import State
from instances.provisioning.status.explain import explain_many

# Stop counting overdue refreshes here.
MAX_COUNTED = 1_000
# Not finished by a person yet, or in progress here: not a problem.
_IN_PROGRESS = {State.DRAFT, State.AWAITING_AUTHORIZATION, State.PROVISIONING}
# The most urgent first.
_URGENCY = [
    State.NEEDS_REAUTHORIZATION,
    State.FAILED,
    State.CONNECTED,
    State.UNKNOWN,
    State.DELETING,
]


@dataclass(slots=True)
class ElementCount:
    """The number of instances of one element.

    connected: enabled and healthy. other: not finished yet, or disabled.
    """

    element: Element
    connected: int = 0
    problems: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        return self.connected + self.problems + self.other


@dataclass(slots=True)
class ProblemGroup:
    """The instances with the same state and cause, by element."""

    state: str
    cause: str
    elements: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.elements.total()

    def explain_to(self, audience: Audience) -> tuple[str, str, str]:
        """Return what happened, who must act, and the advice."""
        return explain_many(self.state, self.cause, audience)


@dataclass(frozen=True, slots=True)
class Overview:
    """The instances that a user may see, counted.

    disabled: the connected ones that are disabled. elements: the largest first. overdue: refreshes, counted up to
    MAX_COUNTED.
    """

    states: Counter[str]
    disabled: int
    elements: list[ElementCount]
    problems: list[ProblemGroup]
    overdue: int
    is_scheduler_alive: bool
    # Whether a process has stopped working because its clock differs from the database's.
    is_clock_wrong: bool

    @property
    def total(self) -> int:
        return self.states.total()


@dataclass(frozen=True, slots=True)
class _Count:
    element: Element
    state: str
    is_disabled: bool
    cause: str
    number: int

    @property
    def is_paused(self) -> bool:
        return self.is_disabled and self.state == State.CONNECTED

    @property
    def is_fine(self) -> bool:
        return self.state == State.CONNECTED and not self.is_disabled and not self.cause

    @property
    def has_problem(self) -> bool:
        return not (self.is_fine or self.is_paused or self.state in _IN_PROGRESS)


def overview_of(user: User | AnonymousUser) -> Overview:
    now = timezone.now()
    visible = Instance.objects.listed_for(user)
    counts = _counts(visible)
    states: Counter[str] = Counter()
    for count in counts:
        states[count.state] += count.number
    alive = set(ProcessBeat.objects.alive().values_list("kind", flat=True))
    return Overview(
        states=states,
        disabled=sum(count.number for count in counts if count.is_paused),
        elements=_by_element(counts),
        problems=_by_cause(counts),
        overdue=visible.overdue_for_refresh(at=now).order_by()[:MAX_COUNTED].count(),
        is_scheduler_alive=ProcessBeat.Kind.SCHEDULER in alive,
        is_clock_wrong=ProcessBeat.Kind.WRONG_CLOCK in alive,
    )


def _counts(visible: InstanceQuerySet) -> list[_Count]:
    # Only columns of the index instance_overview, so that the rows themselves are not read.
    columns = visible.order_by().values_list("element", "state", "is_disabled", "cause")
    counted = list(columns.annotate(number=Count("*")))
    elements = Element.objects.only("name").in_bulk({element for element, *_ in counted})
    return [_Count(elements[element], *rest) for element, *rest in counted]


def _by_element(counts: Iterable[_Count]) -> list[ElementCount]:
    elements: dict[int, ElementCount] = {}
    for count in counts:
        element = elements.setdefault(count.element.pk, ElementCount(count.element))
        if count.has_problem:
            element.problems += count.number
        elif count.is_fine:
            element.connected += count.number
        else:
            element.other += count.number
    return sorted(elements.values(), key=lambda element: (-element.total, element.element.name))


def _by_cause(counts: Iterable[_Count]) -> list[ProblemGroup]:
    groups: dict[tuple[str, str], ProblemGroup] = {}
    for count in counts:
        if count.has_problem:
            group = groups.setdefault(
                (count.state, count.cause), ProblemGroup(count.state, count.cause)
            )
            group.elements[count.element.name] += count.number
    return sorted(
        groups.values(), key=lambda group: (_URGENCY.index(State(group.state)), -group.count)
    )
