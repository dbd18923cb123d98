"""Times in the reader's time zone. The browser sends it in a cookie (time_zone.js), and every page uses it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from instances.times import ReadersZone

COOKIE = "time_zone"
MAX_NAME_CHARACTERS = 64


def in_readers_zone(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware. Without the cookie, or with an unknown zone, the setting TIME_ZONE is used."""

    def respond(request: HttpRequest) -> HttpResponse:
        with timezone.override(_zone_named(request.COOKIES.get(COOKIE, ""))):
            return get_response(request)

    return respond


def _zone_named(name: str) -> ReadersZone | None:
    if not name or len(name) > MAX_NAME_CHARACTERS:
        return None
    try:
        return ReadersZone(name)
    except (KeyError, OSError, ValueError):
        # Missing, a folder of zones, or not a zone's name.
        return None
