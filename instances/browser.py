"""A browser on its way to a provider, and the cookie that it is recognised by afterwards."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from instances.models import AuthorizationLink, Instance
from instances.provisioning.authorization import (
    BROWSER_COOKIE,
    begin_authorization,
    new_browser_secret,
)

# As long as an authorization link may take.
BROWSER_COOKIE_SECONDS = 7 * 24 * 60 * 60


def browser_secret_of(request: HttpRequest) -> str:
    """The one that this browser has; a new one where it has none."""
    return request.COOKIES.get(BROWSER_COOKIE) or new_browser_secret()


def send_to_provider(
    request: HttpRequest,
    instance: Instance,
    *,
    configuration: Mapping[str, Any] | None = None,
    browser_secret: str = "",
    link: AuthorizationLink | None = None,
) -> HttpResponse:
    """Begin an authorization and answer with the way there. Raises what begin_authorization() raises."""
    browser_secret = browser_secret or browser_secret_of(request)
    begun = begin_authorization(
        instance,
        account=request.user,
        browser_secret=browser_secret,
        configuration=configuration,
        link=link,
    )
    return remember_browser(HttpResponseRedirect(begun.url), browser_secret)


def remember_browser(response: HttpResponse, browser_secret: str) -> HttpResponse:
    """Let the browser keep the secret that it is recognised by."""
    response.set_cookie(
        BROWSER_COOKIE,
        browser_secret,
        max_age=BROWSER_COOKIE_SECONDS,
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response
