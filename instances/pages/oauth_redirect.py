"""Redirects to a provider, and the cookies that recognise the browser when it comes back."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from instances.crypto import sealing
from instances.models import Authorization, AuthorizationLink, Instance
from instances.models.authorization_links import MAX_BROWSER_SECRETS, SECRETS_SEPARATOR
from instances.provisioning.oauth.authorize import (
    BROWSER_COOKIE,
    begin_authorization,
    new_browser_secret,
)

# The lifetime of an authorization link.
BROWSER_COOKIE_SECONDS = 7 * 24 * 60 * 60
_OWN_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
# The secret of the latest page of a link. The page's form contains its digest, which nobody else can plant.
_VISIT_COOKIE = "link_visit"


def browser_secrets(request: HttpRequest) -> str:
    """Return this browser's secrets of its authorizations and links, latest first."""
    names = (_VISIT_COOKIE, BROWSER_COOKIE)
    return SECRETS_SEPARATOR.join(request.COOKIES.get(_cookie_name(name), "") for name in names)


def remember_visit(response: HttpResponse, visit_secret: str) -> HttpResponse:
    """Give the browser a secret with a link's page. With it, the browser can claim the link again if our response
    gets lost.
    """
    return _set_cookie(response, _VISIT_COOKIE, visit_secret)


def visit_secret_of(request: HttpRequest) -> str:
    """Return the secret of the page whose form is sent, or "" if the browser has another one or none."""
    visit_secret = request.COOKIES.get(_cookie_name(_VISIT_COOKIE), "")
    is_of_page = visit_secret and request.POST.get("visit") in sealing.digests(visit_secret)
    return visit_secret if is_of_page else ""


def redirect_to_provider(
    request: HttpRequest,
    instance: Instance,
    *,
    configuration: Mapping[str, Any] | None = None,
    link: AuthorizationLink | None = None,
) -> HttpResponse:
    """Start an authorization and redirect to the provider. Raises what begin_authorization() raises."""
    fresh_secret = new_browser_secret()
    started = begin_authorization(
        instance,
        user=request.user,
        browser_secret=fresh_secret,
        configuration=configuration,
        link=link,
    )
    return remember_browser(request, HttpResponseRedirect(started.url), fresh_secret)


def remember_browser(
    request: HttpRequest,
    response: HttpResponse,
    fresh_secret: str,
    *,
    instead_of: Authorization | None = None,
) -> HttpResponse:
    """Add a secret to the browser's cookie, so that several authorizations can be in progress at once.

    instead_of: the authorization whose old secret is removed.
    """
    name = _cookie_name(BROWSER_COOKIE)
    cookies = response.cookies
    stored = cookies[name].value if name in cookies else request.COOKIES.get(name, "")
    others = [
        secret
        for secret in stored.split(SECRETS_SEPARATOR)
        if _OWN_SECRET.fullmatch(secret)
        and secret != fresh_secret
        and not (instead_of and instead_of.is_of_browser(secret))
    ]
    secrets = [fresh_secret, *others][:MAX_BROWSER_SECRETS]
    return _set_cookie(response, BROWSER_COOKIE, SECRETS_SEPARATOR.join(secrets))


def _cookie_name(cookie: str) -> str:
    """Return the name with the prefix of https, which no other host and no attacker on the network can set.

    Source: RFC 6265bis 4.1.3.
    """
    return f"__Host-{cookie}" if settings.IS_HTTPS else cookie


def _set_cookie(response: HttpResponse, cookie: str, value: str) -> HttpResponse:
    response.set_cookie(
        _cookie_name(cookie),
        value,
        max_age=BROWSER_COOKIE_SECONDS,
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response
