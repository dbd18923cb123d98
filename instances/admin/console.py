"""The admin's start page: instances by state, what needs attention and why, and recent activity."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from instances.admin.instance_filters import NO_CAUSE
from instances.admin.instance_search import SEARCH_HELP
from instances.admin.instances import STATE_COLOURS
from instances.admin.interactions import exchange_of
from instances.causes import Audience
from instances.models import Instance, Interaction
from instances.pages.console_panels import console_panels
from instances.provisioning.status.audience import audience_of_many
from instances.provisioning.status.overview import (
    MAX_COUNTED,
    ElementCount,
    Overview,
    ProblemGroup,
    overview_of,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The length of a full bar.
BAR_UNITS = 1_000
MAX_ELEMENTS = 8
MAX_NAMED = 3
MAX_INTERACTIONS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart. parts: colour, start and length, in BAR_UNITS. detail: the parts in words."""

    label: "StrOrPromise"
    count: int
    url: str
    parts: list[tuple[str, int, int]]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A group of instances with the same cause and remedy."""

    group: ProblemGroup
    colour: str
    state: "StrOrPromise"
    headline: str
    who: str
    advice: str
    elements: str
    url: str


def console(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK: add the sections that the signed-in user may view."""
    user = request.user
    if user.has_perm("instances.view_instance"):
        context |= _instances(overview_of(user), audience_of_many(user))
    if user.has_perm("instances.view_interaction"):
        latest = Interaction.objects.visible_to(user)[:MAX_INTERACTIONS]
        context["exchanges"] = [exchange_of(interaction) for interaction in latest]
    context["panels"] = console_panels(user)
    for panel in context["panels"]:
        context |= panel.context(user)
    return context


def _instances(overview: Overview, audience: Audience) -> dict[str, Any]:
    return {
        "overview": overview,
        "search_help": SEARCH_HELP,
        "max_counted": MAX_COUNTED,
        "by_state": _bars_of_states(overview),
        "by_element": [
            _bar_of_element(count, overview.elements[0].total)
            for count in overview.elements[:MAX_ELEMENTS]
        ],
        "other_elements": len(overview.elements[MAX_ELEMENTS:]),
        "disabled_url": list_url(question="disabled"),
        "overdue_url": list_url(question="overdue-refresh"),
        "problems": [_problem_of(group, audience) for group in overview.problems],
    }


def list_url(**filters: Any) -> str:
    """Return the address of the filtered list of instances."""
    return f"{reverse('admin:instances_instance_changelist')}?{urlencode(filters)}"


def _bars_of_states(overview: Overview) -> list[Bar]:
    most = max(overview.states.values(), default=0)
    return [
        Bar(
            state.label,
            overview.states[state],
            list_url(state__exact=state),
            _parts([(STATE_COLOURS[state], overview.states[state])], most),
        )
        for state in Instance.State
        if overview.states[state]
    ]


def _bar_of_element(count: ElementCount, most: int) -> Bar:
    parts = [("success", count.connected), ("danger", count.problems), ("default", count.other)]
    url = list_url(element__id__exact=count.element.pk)
    numbers = {"healthy": count.connected, "problems": count.problems, "other": count.other}
    detail = _("%(healthy)d healthy · %(problems)d need attention · %(other)d other") % numbers
    return Bar(count.element.name, count.total, url, _parts(parts, most), detail)


def _parts(counts: Iterable[tuple[str, int]], most: int) -> list[tuple[str, int, int]]:
    """Return colour, start and length of each part. Parts that are not empty are long enough to see."""
    parts, start = [], 0
    for colour, count in counts:
        if count:
            length = max(BAR_UNITS * count // most, 4)
            parts.append((colour, start, length))
            start += length
    return parts


def _problem_of(group: ProblemGroup, audience: Audience) -> Problem:
    headline, who, advice = group.explain_to(audience)
    named = [f"{name} ({count})" for name, count in group.elements.most_common(MAX_NAMED)]
    more = len(group.elements) - MAX_NAMED
    # Connected instances still work, or seem to.
    colour = "warning" if group.state == Instance.State.CONNECTED else STATE_COLOURS[group.state]
    return Problem(
        group,
        colour,
        Instance.State(group.state).label,
        headline,
        who,
        advice,
        ", ".join(named) + (f" + {more}" if more > 0 else ""),
        list_url(state__exact=group.state, cause=group.cause or NO_CAUSE),
    )
