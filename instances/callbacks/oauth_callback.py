"""The OAuth callback: redirects to the instance on success, and shows an error page otherwise."""

import time
from http import HTTPStatus
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from instances import counters, errors
from instances.callbacks.authorize_link import thank
from instances.callbacks.choice import offer_choices
from instances.callbacks.error_pages import explain_error
from instances.callbacks.other_account import ask_for_confirmation
from instances.callbacks.ways_back import back_link, return_to
from instances.client_address import client_address
from instances.models import Authorization, Instance
from instances.pages.language import with_language
from instances.pages.oauth_redirect import browser_secrets, remember_browser
from instances.provisioning.oauth.answers import MAX_CODE_CHARACTERS
from instances.provisioning.oauth.authorize import new_browser_secret
from instances.provisioning.oauth.callback import (
    complete_authorization,
    find_authorization,
    is_unsolicited,
)
from instances.redaction import storable

# Providers send a few short values; a code is the longest of them.
MAX_PARAMETERS = 30
MAX_NAME_CHARACTERS = 100
MAX_VALUE_CHARACTERS = MAX_CODE_CHARACTERS + 1
# What OpenID Connect adds to a response in a form, and nothing here needs.
_UNUSED_PARAMETERS = {"id_token"}
# Limits per minute for anonymous callbacks without a known authorization: accepted per address, recorded in total.
UNSOLICITED_PER_ADDRESS = 20
UNSOLICITED_RECORDED = 5
WINDOW_SECONDS = 60


@csp_override(settings.CONNECT_CSP)
@csrf_exempt
@require_http_methods(["GET", "POST"])
@never_cache
def oauth_callback(request: HttpRequest) -> HttpResponse:
    """Handle an authorization response (RFC 6749 4.1.2).

    A response in a form (OAuth 2.0 Form Post Response Mode) comes from another site, so without our cookies: it is
    redirected to a GET, which has them. complete_authorization() checks that this browser and user started the
    authorization.
    """
    parameters = _parameters(request.POST if request.method == "POST" else request.GET)
    if request.method == "POST":
        query = urlencode(parameters)
        response: HttpResponse = HttpResponseRedirect(f"{reverse('oauth_callback')}?{query}")
        response.status_code = HTTPStatus.SEE_OTHER
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
    trip = find_authorization(parameters, browser_secret=browser_secrets(request))
    is_by_link = bool(trip and trip.link_id)
    if not is_by_link:
        return _respond(request, parameters, trip, is_by_link=False)
    with translation.override(translation.get_language_from_request(request)):
        return with_language(_respond(request, parameters, trip, is_by_link=True))


def _parameters(query: QueryDict) -> dict[str, str]:
    """Return the first value of each parameter, bounded and storable."""
    return {
        storable(name)[:MAX_NAME_CHARACTERS]: storable(values[0])[:MAX_VALUE_CHARACTERS]
        for name, values in list(query.lists())[:MAX_PARAMETERS]
        if name not in _UNUSED_PARAMETERS
    }


def _respond(
    request: HttpRequest,
    parameters: dict[str, str],
    trip: Authorization | None,
    *,
    is_by_link: bool,
) -> HttpResponse:
    renewed_secret = new_browser_secret()
    try:
        instance = _complete(request, parameters, trip, renewed_secret)
    except errors.OtherAccountError as error:
        response = ask_for_confirmation(request, error, trip)
    except errors.ChoiceNeededError as error:
        response = offer_choices(request, error, renewed_secret)
    except errors.InstancesError as error:
        way_back = back_link(request, trip.instance) if trip and not is_by_link else None
        response = explain_error(
            request,
            error,
            back_link=way_back,
            is_by_link=is_by_link,
            link=trip.link if trip else None,
            is_without_parameters=not parameters,
        )
    else:
        link = trip.link if trip else None
        response = thank(request, instance, link) if link else return_to(request, instance)
    ended = Authorization.objects.filter(pk=trip.pk).first() if trip else None
    if trip and ended and ended.is_of_browser(renewed_secret):
        remember_browser(request, response, renewed_secret, instead_of=trip)
    # The address contains the code, so nobody must receive it as the referrer. With no-referrer, browsers would send
    # "Origin: null" with the forms of these pages, which Django rejects.
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


def _complete(
    request: HttpRequest,
    parameters: dict[str, str],
    trip: Authorization | None,
    renewed_secret: str,
) -> Instance:
    """Raises TooManyAttemptsError, and what complete_authorization() raises."""
    browser_secret = browser_secrets(request)
    is_recorded = True
    if is_unsolicited(trip, user=request.user, browser_secret=browser_secret):
        is_recorded = _count_unsolicited(client_address(request))
    return complete_authorization(
        parameters,
        user=request.user,
        browser_secret=browser_secret,
        renewed_secret=renewed_secret,
        is_recorded=is_recorded,
    )


def _count_unsolicited(address: str) -> bool:
    """Count a callback. Returns whether to record it as part of the sample. Raises TooManyAttemptsError."""
    now = int(time.time())
    window = now // WINDOW_SECONDS
    lifetime = 2 * WINDOW_SECONDS
    if counters.hit(f"callbacks:{window}:{address}", seconds=lifetime) > UNSOLICITED_PER_ADDRESS:
        wait = WINDOW_SECONDS - now % WINDOW_SECONDS
        raise errors.TooManyAttemptsError(
            _(
                "Your network sent too many callbacks without a known authorization. Try again in a minute."
            ),
            retry_after_seconds=wait,
        )
    # 0 means that the cache is down: record nothing rather than everything.
    return 0 < counters.hit(f"callbacks:{window}", seconds=lifetime) <= UNSOLICITED_RECORDED
