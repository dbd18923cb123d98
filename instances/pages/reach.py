"""Keep rows and users of other organizations off the delete and history pages, and out of filters."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import batched, chain
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import NestedObjects
from django.contrib.auth.models import User
from django.core.paginator import Page
from django.db import router
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from instances.models.organizations import MAX_VALUES
from instances.provisioning.access.permissions import visible_users


def is_all_within_reach(rows: Any, request: HttpRequest, site: admin.AdminSite) -> bool:
    """Return whether the signed-in user may view every row that would also be deleted, or that prevents deletion."""
    rows = list(rows)
    if request.user.is_superuser or not rows:
        return True
    collector = NestedObjects(using=router.db_for_write(type(rows[0])), origin=rows)
    collector.collect(rows)
    ids: dict[type[Model], set[Any]] = defaultdict(set)
    for row in chain(collector.protected, *collector.model_objs.values()):
        ids[type(row)].add(row.pk)
    return all(_sees(model, pks, request, site) for model, pks in ids.items())


def _sees(model: type[Model], pks: set[Any], request: HttpRequest, site: admin.AdminSite) -> bool:
    visible = _visible(model, request, site)
    if visible is None:
        return True
    parts = batched(pks, MAX_VALUES)
    return sum(visible.filter(pk__in=part).count() for part in parts) == len(pks)


def _visible(
    model: type[Model], request: HttpRequest, site: admin.AdminSite
) -> QuerySet[Any] | None:
    """Return the rows that the user may view. None for a model without an admin, whose rows belong to one that has."""
    if model is LogEntry:
        return LogEntry.objects.filter(user__username=request.user.get_username())
    if not site.is_registered(model):
        return None
    rows = site.get_model_admin(model).get_queryset(request)
    return rows.order_by().select_related(None).prefetch_related(None)


def hide_strangers(entries: Page[LogEntry], request: HttpRequest) -> None:
    """Replace the names of users that the signed-in user may not view, and keep the entries."""
    if request.user.is_superuser:
        return
    seen = set(
        visible_users(request.user)
        .filter(pk__in={entry.user_id for entry in entries})
        .values_list("pk", flat=True)
    )
    for entry in entries:
        if entry.user_id not in seen:
            entry.user = User(username=_("an administrator"))


class SelectFilter(AutocompleteSelectFilter):  # type: ignore[misc]
    """The theme's filter by a related row, which names only rows that the user may see."""

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        site = self.model_admin.admin_site
        visible = site.get_model_admin(self.field.related_model).get_queryset(self.request)
        for choice in super().choices(changelist):
            choice["form"].fields[self.lookup_kwarg].queryset = visible
            yield choice
