"""Link pages in the language of the account owner's browser. Other pages are in English."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

LINKS = "/authorize/"


def in_readers_language(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware for the pages of links, error pages included.

    Django's LocaleMiddleware would also translate the admin, which operators read in English.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(LINKS):
            return get_response(request)
        with translation.override(translation.get_language_from_request(request)):
            return with_language(get_response(request))

    return respond


def with_language(response: HttpResponse) -> HttpResponse:
    """Tell caches and readers the language that is active."""
    patch_vary_headers(response, ["Accept-Language"])
    response.headers.setdefault("Content-Language", translation.get_language() or "")
    return response
