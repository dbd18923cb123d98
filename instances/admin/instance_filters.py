"""Filters of the list of instances (questions, causes, tags), and the conditions of its search."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.views.main import PAGE_VAR
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from instances.causes import Cause
from instances.models import (
    AccountPart,
    Authorization,
    Instance,
    OAuthApp,
    Organization,
    OrganizationUser,
)
from instances.models.instance_querysets import InstanceQuerySet
from instances.models.organizations import inline_ids
from instances.provisioning.oauth.apps import instances_using
from instances.provisioning.status.meaning import Status, with_status

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The rows in question, the time, and the user who asks.
type Question = Callable[[InstanceQuerySet, datetime, Any], InstanceQuerySet]

_DAY = timedelta(days=1)
_State = Instance.State
# The filter value for instances without a cause. An empty value would mean no filter.
NO_CAUSE = "none"


def _by_leavers(rows: InstanceQuerySet, *_: object) -> InstanceQuerySet:
    """Keep instances whose organization user, or whose last authorizing user, can no longer sign in."""
    users = OrganizationUser.objects.filter(user__is_active=False)
    owned = Instance.objects.filter(organization_user__in=users).order_by().values("pk")
    authorized = Authorization.objects.by_leavers().order_by().values("instance")
    return rows.filter(pk__in=owned.union(authorized))


QUESTIONS: dict[str, tuple["StrOrPromise", Question]] = {
    "failed-in-the-last-day": (
        _("Failed in the last 24 hours"),
        lambda rows, now, *_: rows.changed_since(_State.FAILED, at=now - _DAY),
    ),
    "needs-reauthorization": (
        _("Needs reauthorization"),
        lambda rows, *_: rows.filter(state=_State.NEEDS_REAUTHORIZATION),
    ),
    "waiting-for-a-day": (
        _("Awaiting authorization for over 24 hours"),
        lambda rows, now, *_: rows.waiting_since(_State.AWAITING_AUTHORIZATION, at=now - _DAY),
    ),
    "overdue-refresh": (
        _("Refresh overdue"),
        lambda rows, now, *_: rows.overdue_for_refresh(at=now),
    ),
    "no-refresh-token": (
        _("No refresh token"),
        lambda rows, *_: rows.without_refresh_token(),
    ),
    "unverified": (
        _("Credentials not verified"),
        lambda rows, *_: rows.unverified(),
    ),
    "never-checked": (
        _("Never checked"),
        lambda rows, *_: rows.never_checked(),
    ),
    "by-leavers": (
        _("Owned or authorized by an inactive user"),
        _by_leavers,
    ),
    "shared-account": (
        _("Account connected more than once"),
        # Other filters do not decide what is a duplicate, but what the user may see does.
        lambda rows, _, user: rows.sharing_accounts(Instance.objects.listed_for(user)),
    ),
    "disabled": (
        _("Connected but disabled"),
        lambda rows, *_: rows.paused(),
    ),
}


@dataclass(frozen=True, slots=True)
class QuestionLink:
    """One link above the list."""

    url: str
    label: "StrOrPromise"
    is_current: bool


def view_links(request: HttpRequest) -> list[QuestionLink]:
    """Return links to all instances, and to those of each status, the most urgent first."""
    chosen = request.GET.get(StatusFilter.parameter_name, "")
    links = [QuestionLink("?", _("All"), not request.GET)]
    links += [
        QuestionLink(f"?{StatusFilter.parameter_name}={status}", status.label, status == chosen)
        for status in Status
    ]
    return links


def question_links(request: HttpRequest) -> list[QuestionLink]:
    """Return links that ask each question of the list as it is filtered now."""
    asked = request.GET.get(QuestionFilter.parameter_name, "")
    query = request.GET.copy()
    query.pop(PAGE_VAR, None)
    links = []
    for name, (label, _question) in QUESTIONS.items():
        query[QuestionFilter.parameter_name] = name
        links.append(QuestionLink(f"?{query.urlencode()}", label, name == asked))
    return links


class QuestionFilter(DropdownFilter):
    title = _("quick filter")
    parameter_name = "question"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, label) for name, (label, _) in QUESTIONS.items()]

    def queryset(self, request: HttpRequest, queryset: InstanceQuerySet) -> InstanceQuerySet:
        chosen = QUESTIONS.get(self.value() or "")
        return chosen[1](queryset, timezone.now(), request.user) if chosen else queryset


class StatusFilter(DropdownFilter):
    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Status.choices)

    def queryset(self, request: HttpRequest, queryset: InstanceQuerySet) -> InstanceQuerySet:
        chosen = self.value()
        if chosen not in Status:
            return queryset
        return with_status(queryset, Status(chosen), at=timezone.now())


class CauseFilter(DropdownFilter):
    """Filter by cause, as the start page groups instances. Disabled ones are left out."""

    title = _("cause")
    parameter_name = "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        asked = request.GET.get(self.parameter_name, NO_CAUSE)
        others = [] if asked in Cause or asked == NO_CAUSE else [(asked, asked)]
        return [(NO_CAUSE, _("No recorded cause")), *Cause.choices, *others]

    def queryset(self, request: HttpRequest, queryset: InstanceQuerySet) -> InstanceQuerySet:
        match self.value():
            case None:
                return queryset
            case cause:
                return queryset.with_problem("" if cause == NO_CAUSE else cause)


class TagFilter(TextFilter):
    title = _("tag")
    parameter_name = "tag"

    def queryset(self, request: HttpRequest, queryset: InstanceQuerySet) -> InstanceQuerySet:
        return queryset.with_tag(self.value()) if self.value() else queryset


class AccountFilter(TextFilter):
    """Keep the instances of the same account as one instance, by its id; pages of instances link to it."""

    title = _("same account as the instance with ID")
    parameter_name = "account_of"

    def queryset(self, request: HttpRequest, queryset: InstanceQuerySet) -> InstanceQuerySet:
        text = self.value() or ""
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            return queryset
        seen = Instance.objects.visible_to(request.user).filter(pk=int(text))
        return queryset.of_account(seen.values_list("account_digest", flat=True).first() or "")


class OAuthAppFilter(TextFilter):
    """Keep the instances that use an OAuth app, by its id; the page of an app links to it."""

    title = _("OAuth app with ID")
    parameter_name = "oauth_app"

    def queryset(self, request: HttpRequest, queryset: InstanceQuerySet) -> InstanceQuerySet:
        text = self.value() or ""
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            return queryset
        operated = Organization.objects.operated_by(request.user)
        app = OAuthApp.objects.filter(pk=int(text), organization__in=operated).first()
        return queryset.filter(pk__in=instances_using(app).values("pk")) if app else queryset.none()


def search_conditions(text: str) -> list[Q]:
    """Search by prefix of name or email, or by tag, id, uid, or what identifies the account at the provider.

    Element tokens are searched for in instance_search.py, because this text becomes a part of URLs.
    """
    users = OrganizationUser.objects.filter(email__istartswith=text)
    conditions = [
        Q(name__istartswith=text),
        Q(pk__in=Instance.objects.with_tag(text).order_by().values("pk")),
        Q(organization_user__in=inline_ids(users)),
        Q(pk__in=AccountPart.objects.filter(value=text).order_by().values("instance")),
    ]
    if text.isascii() and text.isdigit() and len(text) <= 18:
        conditions.append(Q(pk=int(text)))
    with suppress(ValueError):
        conditions.append(Q(uid=UUID(text)))
    return conditions
