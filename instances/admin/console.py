"""The admin's first page: how the instances are, what needs attention and why, and what happened just now."""

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

# What a bar's whole length is divided into.
BAR_UNITS = 1_000
MAX_ELEMENTS = 8
MAX_NAMED = 3
MAX_INTERACTIONS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart. parts: colour, where it begins, and how long it is, in BAR_UNITS. detail: what the parts
    say, in words.
    """

    label: "StrOrPromise"
    count: int
    url: str
    parts: list[tuple[str, int, int]]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A group of instances that need the same done to them."""

    group: ProblemGroup
    colour: str
    state: "StrOrPromise"
    words: str
    who: str
    advice: str
    elements: str
    url: str


def console(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK: the parts that the signed-in person may see."""
    account = request.user
    if account.has_perm("instances.view_instance"):
        context |= _instances(overview_of(account), audience_of_many(account))
    if account.has_perm("instances.view_interaction"):
        latest = Interaction.objects.visible_to(account)[:MAX_INTERACTIONS]
        context["exchanges"] = [exchange_of(one) for one in latest]
    context["panels"] = console_panels(account)
    for panel in context["panels"]:
        context |= panel.context(account)
    return context


def _instances(overview: Overview, audience: Audience) -> dict[str, Any]:
    return {
        "overview": overview,
        "search_help": SEARCH_HELP,
        "max_counted": MAX_COUNTED,
        "by_state": _bars_of_states(overview),
        "by_element": [
            _bar_of_element(one, overview.elements[0].total)
            for one in overview.elements[:MAX_ELEMENTS]
        ],
        "other_elements": len(overview.elements[MAX_ELEMENTS:]),
        "disabled_url": list_url(question="disabled"),
        "overdue_url": list_url(question="overdue-refresh"),
        "troubles": [_trouble_of(group, audience) for group in overview.troubles],
    }


def list_url(**filters: Any) -> str:
    """The list of instances, filtered."""
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


def _bar_of_element(one: ElementCount, most: int) -> Bar:
    parts = [("success", one.connected), ("danger", one.troubled), ("default", one.other)]
    url = list_url(element__id__exact=one.element.pk)
    numbers = {"connected": one.connected, "troubled": one.troubled, "other": one.other}
    detail = _("%(connected)d in order, %(troubled)d need attention, %(other)d other") % numbers
    return Bar(one.element.name, one.total, url, _parts(parts, most), detail)


def _parts(counts: Iterable[tuple[str, int]], most: int) -> list[tuple[str, int, int]]:
    """Colour, where it begins, and how long it is; what is there at all is long enough to be seen."""
    parts, start = [], 0
    for colour, count in counts:
        if count:
            length = max(BAR_UNITS * count // most, 4)
            parts.append((colour, start, length))
            start += length
    return parts


def _trouble_of(group: ProblemGroup, audience: Audience) -> Trouble:
    words, who, advice = group.explain_to(audience)
    named = [f"{name} ({count})" for name, count in group.elements.most_common(MAX_NAMED)]
    more = len(group.elements) - MAX_NAMED
    # A connected one still works, or seems to.
    colour = "warning" if group.state == Instance.State.CONNECTED else STATE_COLOURS[group.state]
    return Trouble(
        group,
        colour,
        Instance.State(group.state).label,
        words,
        who,
        advice,
        ", ".join(named) + (f" + {more}" if more > 0 else ""),
        list_url(state__exact=group.state, cause=group.cause or NO_CAUSE),
    )
