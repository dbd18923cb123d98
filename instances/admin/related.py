"""What belongs to an organization, to one of its users, or to a user: panels on their pages, each with links."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from instances.admin.fleet import fleet_of, list_url
from instances.models import BulkJob, Instance, Membership, OAuthApp, Organization, OrganizationUser
from instances.pages.bars import Part, sentence_of
from instances.provisioning.status.overview import count_statuses

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Related:
    """One panel. all_url: the list of all of them. add_url: the page that adds one; empty if the user may not."""

    title: "StrOrPromise"
    count: int
    all_url: str
    add_url: str = ""
    lines: list[Line] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        return sentence_of(self.parts)


def related_to_organization(
    organization: Organization, user: User | AnonymousUser
) -> list[Related]:
    """Return the panels that the user may see. OAuth apps and bulk jobs are for those who operate the organization."""
    users = OrganizationUser.objects.visible_to(user).filter(organization=organization)
    own = {"organization__id__exact": organization.pk}
    panels = [
        _instances(user, organization_user__organization=organization),
        _panel(_("Organization users"), users.select_related("organization"), user, own),
    ]
    if Organization.objects.operated_by(user).filter(pk=organization.pk).exists():
        apps = OAuthApp.objects.filter(organization=organization)
        jobs = BulkJob.objects.filter(organization_user__organization=organization)
        of_users = {"organization_user__organization__id__exact": organization.pk}
        panels += [
            _panel(_("OAuth apps"), apps.select_related("element", "organization"), user, own),
            _panel(_("Bulk jobs"), jobs, user, of_users, text=lambda job: job.name or str(job)),
        ]
    return [panel for panel in panels if panel]


def related_to_owner(owner: OrganizationUser, user: User | AnonymousUser) -> list[Related]:
    """Return the panel of an organization user's instances, if the user may see it."""
    panel = _instances(user, organization_user=owner)
    return [panel] if panel else []


def related_to_user(person: User, user: User | AnonymousUser) -> list[Related]:
    """Return the organization users that a user signs in for, and the user's roles in organizations."""
    owners = OrganizationUser.objects.visible_to(user).filter(user=person)
    operated = Organization.objects.operated_by(user)
    roles = Membership.objects.of(person).filter(organization__in=operated)
    own = {"user__id__exact": person.pk}
    panels = [
        _panel(_("Organization users"), owners.select_related("organization"), user, own),
        _panel(_("Memberships"), roles.select_related("organization", "user"), user, own),
    ]
    return [panel for panel in panels if panel]


def _instances(user: User | AnonymousUser, **owner: Model) -> Related | None:
    if not user.has_perm("instances.view_instance"):
        return None
    statuses = count_statuses(Instance.objects.listed_for(user).filter(**owner))
    filters = {f"{name}__id__exact": row.pk for name, row in owner.items()}
    return Related(
        _("Instances"),
        statuses.total(),
        list_url(**filters),
        _add_url(Instance, user),
        parts=fleet_of(statuses, **filters),
    )


def _panel(
    title: "StrOrPromise",
    rows: QuerySet[Any],
    user: User | AnonymousUser,
    filters: dict[str, Any],
    *,
    text: Callable[[Any], str] = str,
) -> Related | None:
    name = rows.model._meta.model_name
    if not user.has_perm(f"instances.view_{name}"):
        return None
    lines = [
        Line(text(row), reverse(f"admin:instances_{name}_change", args=[row.pk]))
        for row in rows[:MAX_LISTED]
    ]
    all_url = f"{reverse(f'admin:instances_{name}_changelist')}?{urlencode(filters)}"
    return Related(title, rows.count(), all_url, _add_url(rows.model, user), lines)


def _add_url(model: type[Model], user: User | AnonymousUser) -> str:
    name = model._meta.model_name
    may_add = user.has_perm(f"instances.add_{name}")
    return reverse(f"admin:instances_{name}_add") if may_add else ""
