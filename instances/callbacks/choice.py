"""Ask the person who came back from a provider which of the account's environments to connect."""

from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_POST

from instances import errors
from instances.callbacks.error_pages import explain_error, in_the_name_of
from instances.callbacks.ways_back import back_link
from instances.models import Authorization
from instances.pages.language import with_language
from instances.pages.oauth_redirect import browser_secrets, redirect_to_provider
from instances.provisioning.oauth.callback import check_browser, check_link
from instances.provisioning.oauth.discovery import configuration_of_choice

_TRIPS = Authorization.objects.select_related(
    "instance__element", "instance__organization_user", "link__made_by"
)


def offer_choices(
    request: HttpRequest, error: errors.ChoiceNeededError, renewed_secret: str
) -> HttpResponse:
    """Show what the account may use; if that is only one, go on with it.

    renewed_secret: identifies this browser from now on.
    """
    trip = _TRIPS.filter(pk=error.authorization_id).first()
    if trip is None:
        # Its instance was deleted meanwhile.
        return explain_error(request, _nothing_to_choose())
    if len(error.choices) == 1:
        return _go_on(request, trip, error.choices[0][0], kept=renewed_secret)
    context = {"trip": trip, "choices": error.choices, **in_the_name_of(trip.link)}
    return render(request, "instances/choice.html", context)


@csp_override(settings.CONNECT_CSP)
@require_POST
@never_cache
def choose(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on with what was chosen. Form field: `chosen`."""
    trip = _TRIPS.filter(pk=pk).first()
    if trip is None:
        return explain_error(request, _nothing_to_choose())
    chosen, kept = request.POST.get("chosen", ""), browser_secrets(request)
    go_on = partial(_go_on, request, trip, chosen, kept=kept)
    if not trip.link_id:
        return go_on()
    with translation.override(translation.get_language_from_request(request)):
        return with_language(go_on())


def _nothing_to_choose() -> errors.UnknownStateError:
    return errors.UnknownStateError("There is nothing to choose any more. Start again.")


def _go_on(request: HttpRequest, trip: Authorization, value: str, *, kept: str) -> HttpResponse:
    link = trip.link
    try:
        check_browser(trip, user=request.user, browser_secret=kept)
        check_link(trip)
        changes = configuration_of_choice(trip, value, user=request.user)
        return redirect_to_provider(request, trip.instance, configuration=changes, link=link)
    except errors.InstancesError as error:
        way_back = None if link else back_link(request, trip.instance)
        return explain_error(request, error, back_link=way_back, is_by_link=bool(link), link=link)
