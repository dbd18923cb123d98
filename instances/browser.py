"""A browser on its way to a provider, and the cookie that it is recognised by afterwards."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from instances.models import Authorization, AuthorizationLink, Instance
from instances.models.authorization_links import MAX_BROWSER_SECRETS, SECRETS_SEPARATOR
from instances.provisioning.authorization import (
    BROWSER_COOKIE,
    begin_authorization,
    new_browser_secret,
)

# As long as an authorization link may take.
BROWSER_COOKIE_SECONDS = 7 * 24 * 60 * 60
_OWN_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def browser_cookie() -> str:
    """Its name. On https no other host, and nobody on the line, can set a cookie with this prefix (RFC 6265bis 4.1.3)."""
    return f"__Host-{BROWSER_COOKIE}" if settings.IS_HTTPS else BROWSER_COOKIE


def kept_by(request: HttpRequest) -> str:
    """The secrets that this browser keeps, of the trips and links that it is on; the latest first."""
    return request.COOKIES.get(browser_cookie(), "")


def send_to_provider(
    request: HttpRequest,
    instance: Instance,
    *,
    configuration: Mapping[str, Any] | None = None,
    link: AuthorizationLink | None = None,
) -> HttpResponse:
    """Begin an authorization and answer with the way there. Raises what begin_authorization() raises."""
    fresh_secret = new_browser_secret()
    begun = begin_authorization(
        instance,
        account=request.user,
        browser_secret=fresh_secret,
        configuration=configuration,
        link=link,
    )
    return remember_browser(request, HttpResponseRedirect(begun.url), fresh_secret)


def remember_browser(
    request: HttpRequest,
    response: HttpResponse,
    fresh_secret: str,
    *,
    instead_of: Authorization | None = None,
) -> HttpResponse:
    """Let the browser keep one more secret, or another one for a trip; each of its trips finds its way back."""
    name = browser_cookie()
    before = response.cookies[name].value if name in response.cookies else kept_by(request)
    others = [
        one
        for one in before.split(SECRETS_SEPARATOR)
        if _OWN_SECRET.fullmatch(one) and not (instead_of and instead_of.is_of_browser(one))
    ]
    response.set_cookie(
        name,
        SECRETS_SEPARATOR.join([fresh_secret, *others][:MAX_BROWSER_SECRETS]),
        max_age=BROWSER_COOKIE_SECONDS,
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response
