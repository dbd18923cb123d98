"""The console's panel of what ends soon: what providers change, and the client secrets of OAuth apps."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import FETCH_PEERS
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext as _, ngettext

from instances.admin.fleet import list_url
from instances.catalogue.availability import Sunset
from instances.models import Element, Instance, OAuthApp, Organization
from instances.pages.console_panels import ConsolePanel, register_console_panel
from instances.pages.forms import WAY_LABELS

# Providers announce changes that need work at every customer about so long before.
AHEAD = timedelta(days=180)
MAX_APPS = 5
# Counting more instances than these takes time, and says no more.
MAX_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Ending:
    """count: of the instances concerned, as text; empty if it is not known."""

    ends_on: date
    title: str
    what: str
    url: str
    count: str = ""


def _context(user: User | AnonymousUser) -> dict[str, Any]:
    until = timezone.localdate() + AHEAD
    found = [*_sunsets(user, until), *_client_secrets(user, until)]
    return {"coming_up": sorted(found, key=lambda one: (one.ends_on, one.title))}


def _sunsets(user: User | AnonymousUser, until: date) -> Iterator[Ending]:
    """Yield what ends or changes of the elements that the user's instances use."""
    elements = Element.objects.active().filter(last_sunset_on__gt=timezone.localdate())
    for element in elements.defer("definition").fetch_mode(FETCH_PEERS):
        rows = Instance.objects.visible_to(user).filter(element=element).order_by()
        stated: list[tuple[str, Sunset | None]] = [("", element.parsed.sunset)]
        stated += [(way.type, way.sunset) for way in element.parsed.authentication]
        for kind, sunset in stated:
            if sunset is None or not timezone.localdate() < sunset.date <= until:
                continue
            concerned = rows.filter(authentication_type=kind) if kind else rows
            if count := concerned[: MAX_COUNTED + 1].count():
                title = f"{element.name}, {WAY_LABELS[kind]}" if kind else element.name
                url = list_url(element__id__exact=element.pk)
                yield Ending(sunset.date, title, sunset.what, url, _counted(count))


def _counted(count: int) -> str:
    if count > MAX_COUNTED:
        return _("More than %s instances") % localize(MAX_COUNTED)
    return ngettext("%(count)d instance", "%(count)d instances", count) % {"count": count}


def _client_secrets(user: User | AnonymousUser, until: date) -> Iterator[Ending]:
    if not user.has_perm("instances.view_oauthapp"):
        return
    visible = OAuthApp.objects.filter(organization__in=Organization.objects.visible_to(user))
    ending = visible.ending_by(until).filter(secret_ends_on__gt=timezone.localdate())
    apps = ending.select_related("element", "organization").order_by("secret_ends_on")
    what = _("The client secret ends. Register a new one with the provider, and enter it.")
    for app in apps[:MAX_APPS]:
        if app.secret_ends_on:
            url = reverse("admin:instances_oauthapp_change", args=[app.pk])
            yield Ending(app.secret_ends_on, str(app), what, url)


register_console_panel(
    ConsolePanel(
        permission="instances.view_instance",
        template="admin/instances/coming_up_panel.html",
        context=_context,
    )
)
