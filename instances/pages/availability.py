"""Notices on what a provider retired, what ends soon, or what nobody has verified."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.availability import Availability, Available
from instances.catalogue.definition import ElementDefinition
from instances.models import Instance
from instances.pages.forms import WAY_LABELS
from instances.provisioning.certificates import certificate_end

# Long enough to find whoever may register another one.
_CERTIFICATE_NOTICE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Notice:
    """meaning: that of a status, for its colour and mark."""

    title: str
    text: str
    meaning: str = "attention"


def element_notices(
    definition: ElementDefinition, ways: Iterable[AuthenticationType] = ()
) -> list[Notice]:
    """Return the notices of the element and of these of its ways."""
    notices = list(_notices(definition, definition.name))
    return notices + [notice for way in ways for notice in way_notices(way, definition.name)]


def advance_notices(way: AuthenticationType) -> list[Notice]:
    """Say what to know before anything is entered for this way of authentication."""
    return (
        [Notice(_("Before you enter anything:"), way.note, meaning="waiting")] if way.note else []
    )


def way_notices(way: AuthenticationType, element: str) -> list[Notice]:
    subject = _("%(element)s with %(way)s") % {"element": element, "way": WAY_LABELS[way.type]}
    return list(_notices(way, subject))


def instance_notices(instance: Instance) -> list[Notice]:
    """Say that the instance's element or way is retired, and what ends when, its certificate too.

    Existing instances keep working.
    """
    definition = instance.element.parsed
    kind = instance.authentication_type
    ways = [way for way in definition.authentication if way.type == kind]
    notices = [*_certificate_end(instance), *_sunset(definition, *ways)]
    if retirement := next(filter(None, map(definition.retirement_of, ways)), ""):
        title = _("No new connections can be made like this one.")
        text = _("This one keeps working as long as the provider allows. %(why)s")
        notices.insert(0, Notice(title, text % {"why": retirement}))
    return notices


def _certificate_end(instance: Instance) -> Iterator[Notice]:
    ends_at = certificate_end(instance)
    if ends_at is None or ends_at > timezone.now() + _CERTIFICATE_NOTICE:
        return
    title = _("Its certificate ends on %(date)s.")
    if ends_at <= timezone.now():
        title = _("Its certificate ended on %(date)s.")
    text = _(
        "Register a new certificate at %(provider)s, then enter its private key under “Enter credentials”."
    )
    date = date_format(timezone.localtime(ends_at).date())
    yield Notice(title % {"date": date}, text % {"provider": instance.element.name})


def _notices(stated: Available, subject: str) -> Iterator[Notice]:
    if stated.status == Availability.RETIRED:
        title = _("%(subject)s can no longer be connected.") % {"subject": subject}
        yield Notice(title, stated.retirement)
    elif stated.status == Availability.UNVERIFIED:
        title = _("%(subject)s is not verified.") % {"subject": subject}
        yield Notice(title, stated.status_reason, meaning="unverified")
    yield from _sunset(stated)


def _sunset(*several: Available) -> Iterator[Notice]:
    for sunset in filter(None, (stated.sunset for stated in several)):
        is_ahead = sunset.date > timezone.localdate()
        title = _("Changes on %(date)s.") if is_ahead else _("Changed on %(date)s.")
        yield Notice(title % {"date": date_format(sunset.date)}, sunset.what)
