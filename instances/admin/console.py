"""The admin's start page: the fleet by status, what needs action and why, and what is in progress."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _, ngettext

from instances.admin.first_run import first_run
from instances.admin.fleet import fleet_of, list_url
from instances.admin.instance_filters import NO_CAUSE
from instances.causes import Audience, Cause
from instances.pages.bars import sentence_of
from instances.pages.console_panels import console_panels
from instances.provisioning.status.audience import audience_of_many
from instances.provisioning.status.meaning import Status
from instances.provisioning.status.overview import (
    MAX_COUNTED,
    Overview,
    ProblemGroup,
    action_count,
    overview_of,
)
from instances.taskqueue.health import background_health

MAX_GROUPS = 5
MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """A group of instances with the same cause and remedy, and the one button that leads to it."""

    group: ProblemGroup
    headline: str
    who: str
    advice: str
    elements: str
    since: datetime | None
    url: str
    button: str
    button_url: str

    @property
    def count_label(self) -> str:
        count = self.group.count
        text = ngettext("Show %(count)d instance", "Show %(count)d instances", count)
        return text % {"count": count}

    @property
    def is_broken(self) -> bool:
        return self.group.status == Status.BROKEN


def console(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK: add the sections that the signed-in user may view."""
    user = request.user
    context["panels"] = console_panels(user)
    for panel in context["panels"]:
        context |= panel.context(user)
    if not user.has_perm("instances.view_instance"):
        return context
    overview = overview_of(user)
    context |= {"overview": overview, "system": background_health()}
    if not overview.has_connected:
        context |= first_run(user)
    is_showing_all = "causes" in request.GET
    return context | _sections(overview, user, limit=None if is_showing_all else MAX_GROUPS)


def action_badge(request: HttpRequest) -> str:
    """Return the sidebar's count of instances that need somebody to act; empty if there are none."""
    if not request.user.has_perm("instances.view_instance"):
        return ""
    count = action_count(request.user)
    return f"{count:,}" if count else ""


def _sections(
    overview: Overview, user: User | AnonymousUser, *, limit: int | None
) -> dict[str, Any]:
    audience = audience_of_many(user)
    fleet = fleet_of(overview.statuses)
    to_act = overview.needing_action
    return {
        "fleet": fleet,
        "fleet_sentence": sentence_of(fleet),
        "problems": [_problem_of(group, user, audience) for group in to_act[:limit]],
        "cause_count": len(to_act),
        "retried": [_problem_of(group, user, audience) for group in overview.retried[:limit]],
        "unverified_count": overview.statuses[Status.UNVERIFIED],
        "unverified_url": list_url(status=Status.UNVERIFIED),
        "overdue_url": list_url(question="overdue-refresh"),
        "max_counted": MAX_COUNTED,
    }


def _problem_of(group: ProblemGroup, user: User | AnonymousUser, audience: Audience) -> Problem:
    headline, who, advice = group.explain_to(audience)
    named = [name for name, _count in group.elements.most_common(MAX_NAMED)]
    more = len(group.elements) - len(named)
    url = list_url(status=group.status, state__exact=group.state, cause=group.cause or NO_CAUSE)
    button, button_url = _("Review"), url
    if group.cause == Cause.CLIENT_REJECTED and user.has_perm("instances.change_oauthapp"):
        button, button_url = _("Correct OAuth app"), reverse("admin:instances_oauthapp_changelist")
    elif group.status == Status.BROKEN:
        button = _("Repair")
    return Problem(
        group,
        headline,
        who,
        advice,
        ", ".join(named) + (f" + {more}" if more > 0 else ""),
        group.since(user),
        url,
        button,
        button_url,
    )
