"""Ask the person who came back from a provider with another account than before: confirm or cancel."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from instances import errors
from instances.callbacks.authorize_link import thank
from instances.callbacks.error_pages import explain_error, in_the_name_of
from instances.callbacks.ways_back import back_link, page_of, return_to
from instances.models import Authorization
from instances.pages.language import with_language
from instances.pages.oauth_redirect import browser_secrets
from instances.provisioning.oauth.other_account import (
    confirm_other_account,
    find_other_account,
    keep_current_account,
)


def ask_for_confirmation(
    request: HttpRequest, error: errors.OtherAccountError, trip: Authorization | None
) -> HttpResponse:
    """Show which account was authorized and which one is connected. Nothing has been replaced yet."""
    context = {
        "trip": trip,
        "known": error.known,
        "authorized": error.authorized,
        **in_the_name_of(trip.link if trip else None),
    }
    return render(request, "instances/other_account.html", context)


@require_POST
@never_cache
def other_account(request: HttpRequest, pk: int) -> HttpResponse:
    """Use the other account, or keep the current one."""
    trip = Authorization.objects.filter(pk=pk).select_related("instance__element").first()
    if not (trip and trip.link_id):
        return _decide(request, pk, trip)
    with translation.override(translation.get_language_from_request(request)):
        return with_language(_decide(request, pk, trip))


def _decide(request: HttpRequest, pk: int, trip: Authorization | None) -> HttpResponse:
    link = trip.link if trip else None
    try:
        found = find_other_account(pk, user=request.user, browser_secret=browser_secrets(request))
        if "use" in request.POST:
            instance = confirm_other_account(found, user=request.user)
            return thank(request, instance, link) if link else return_to(request, instance)
        keep_current_account(found)
    except errors.InstancesError as error:
        way_back = back_link(request, trip.instance) if trip and not link else None
        return explain_error(request, error, back_link=way_back, is_by_link=bool(link), link=link)
    if link:
        context = {"trip": found, "is_kept": True, **in_the_name_of(link)}
        return render(request, "instances/other_account.html", context)
    messages.success(request, _("%s keeps its current account.") % found.instance.name)
    return redirect(page_of(request, found.instance))
