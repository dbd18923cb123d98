"""A browser on its way to a provider, and the cookie that it is recognised by afterwards."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from instances import crypto
from instances.models import Authorization, AuthorizationLink, Instance
from instances.models.authorization_links import MAX_BROWSER_SECRETS, SECRETS_SEPARATOR
from instances.provisioning.oauth.authorize import (
    BROWSER_COOKIE,
    begin_authorization,
    new_browser_secret,
)

# As long as an authorization link may take.
BROWSER_COOKIE_SECONDS = 7 * 24 * 60 * 60
_OWN_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
# The secret of the latest page of a link; the form on it names its digest, which nobody else can plant.
_VISIT_COOKIE = "link_visit"


def kept_by(request: HttpRequest) -> str:
    """The secrets that this browser keeps, of the trips and links that it is on; the latest first."""
    kept = [request.COOKIES.get(_named(name), "") for name in (_VISIT_COOKIE, BROWSER_COOKIE)]
    return SECRETS_SEPARATOR.join(kept)


def remember_visit(response: HttpResponse, visit_secret: str) -> HttpResponse:
    """Give the browser a secret with the page of a link that it may claim, so that it may claim it again when our
    answer gets lost.
    """
    return _set_cookie(response, _VISIT_COOKIE, visit_secret)


def visit_secret_of(request: HttpRequest) -> str:
    """The secret that came with the page whose form is sent; empty where the browser has another one, or none."""
    visit_secret = request.COOKIES.get(_named(_VISIT_COOKIE), "")
    is_of_page = visit_secret and request.POST.get("visit") in crypto.digests(visit_secret)
    return visit_secret if is_of_page else ""


def redirect_to_provider(
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
    name = _named(BROWSER_COOKIE)
    cookies = response.cookies
    before = cookies[name].value if name in cookies else request.COOKIES.get(name, "")
    others = [
        one
        for one in before.split(SECRETS_SEPARATOR)
        if _OWN_SECRET.fullmatch(one) and not (instead_of and instead_of.is_of_browser(one))
    ]
    kept = [fresh_secret, *(one for one in others if one != fresh_secret)][:MAX_BROWSER_SECRETS]
    return _set_cookie(response, BROWSER_COOKIE, SECRETS_SEPARATOR.join(kept))


def _named(cookie: str) -> str:
    """On https, no other host and nobody on the line can set a cookie with this prefix (RFC 6265bis 4.1.3)."""
    return f"__Host-{cookie}" if settings.IS_HTTPS else cookie


def _set_cookie(response: HttpResponse, cookie: str, value: str) -> HttpResponse:
    response.set_cookie(
        _named(cookie),
        value,
        max_age=BROWSER_COOKIE_SECONDS,
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response
