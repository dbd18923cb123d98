"""Times in the reader's own zone: the browser names it in a cookie (time_zone.js), and every page is made in it."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "time_zone"
MAX_NAME_CHARACTERS = 64


def in_readers_zone(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware. Without the cookie, or with a zone that nobody knows, it is the setting TIME_ZONE's."""

    def answer(request: HttpRequest) -> HttpResponse:
        with timezone.override(_zone_named(request.COOKIES.get(COOKIE, ""))):
            return get_response(request)

    return answer


def _zone_named(name: str) -> ZoneInfo | None:
    if not name or len(name) > MAX_NAME_CHARACTERS:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        # Not there, a folder of zones, or no name of a zone at all.
        return None
