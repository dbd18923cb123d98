"""Errors as pages for a browser that comes from elsewhere: a heading, the sentence, and the status that fits."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from instances import errors
from instances.provisioning.status.audience import message_for_account_owner

# No other attempt with the same link helps.
_WITHOUT_WAY_ON = (errors.UnknownLinkError, errors.LinkOverError, errors.WrongBrowserError)


def explain_error(
    request: HttpRequest,
    error: errors.InstancesError,
    *,
    way_on: tuple[str, str] | None = None,
    is_by_link: bool = True,
) -> HttpResponse:
    """way_on: address and name of what it is about, for whoever may see it.

    is_by_link: the reader has no account here, so no page of ours is offered.
    """
    info = error.info
    context = {
        "heading": info.heading or _("Could not connect"),
        "sentence": message_for_account_owner(error) if is_by_link else str(error),
        "way_on": way_on,
        "is_by_link": is_by_link,
        "can_try_again": not isinstance(error, _WITHOUT_WAY_ON),
    }
    status = info.page_status or info.status
    response = render(request, "instances/error.html", context, status=status)
    if isinstance(error, errors.TooManyAttemptsError):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
