"""Errors as pages for a browser that comes from elsewhere: a heading, the sentence, and the status that fits."""

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from instances import errors
from instances.provisioning.status.audience import message_for_account_owner

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

# No other attempt with the same link helps.
_WITHOUT_WAY_ON = (errors.UnknownLinkError, errors.LinkOverError, errors.WrongBrowserError)
# The first class that fits; RFC 9110 15.5 and 15.6.
_STATUSES: tuple[tuple[type[errors.InstancesError], int], ...] = (
    (errors.UnknownLinkError, 404),
    (errors.LinkOverError, 410),
    (errors.ExpiredStateError, 410),
    (errors.ReplayedStateError, 409),
    (errors.WrongBrowserError, 403),
    (errors.AuthorizationDeniedError, 403),
    (errors.ProviderReportedError, 502),
    (errors.AuthorizationError, 400),
    (errors.RefusedError, 400),
    (errors.PlatformError, 502),
    (errors.TooManyAttemptsError, 429),
    (errors.StateConflictError, 409),
    (errors.UnreadableSecretError, 409),
    (errors.SecretError, 500),
    (errors.ClockSkewError, 503),
    (errors.InstancesError, 400),
)
_HEADINGS: tuple[tuple[type[errors.InstancesError], "StrPromise"], ...] = (
    (errors.AuthorizationDeniedError, gettext_lazy("Access was not allowed")),
    (errors.ReplayedStateError, gettext_lazy("This was done already")),
    (errors.UnknownLinkError, gettext_lazy("This link does not work")),
    (errors.LinkDoneError, gettext_lazy("This was done already")),
    (errors.LinkOverError, gettext_lazy("This link is over")),
    (errors.InstancesError, gettext_lazy("It could not be connected")),
)


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
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    context = {
        "heading": next(heading for kind, heading in _HEADINGS if isinstance(error, kind)),
        "sentence": message_for_account_owner(error) if is_by_link else str(error),
        "way_on": way_on,
        "is_by_link": is_by_link,
        "can_try_again": not isinstance(error, _WITHOUT_WAY_ON),
    }
    response = render(request, "instances/error.html", context, status=status)
    if isinstance(error, errors.TooManyAttemptsError):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
