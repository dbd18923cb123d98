"""Error pages for browsers that come from a provider or a link: a heading, a sentence and an HTTP status."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from instances import errors
from instances.models import AuthorizationLink
from instances.provisioning.status.audience import message_for_account_owner

# Another attempt with the same link cannot succeed.
_FINAL = (errors.UnknownLinkError, errors.LinkOverError, errors.WrongBrowserError)


def in_the_name_of(link: AuthorizationLink | None) -> dict[str, Any]:
    """Return the context of link_sheet.html."""
    return {"link": link, "organization": link.instance.organization} if link else {}


def explain_error(
    request: HttpRequest,
    error: errors.InstancesError,
    *,
    back_link: tuple[str, str] | None = None,
    is_by_link: bool = True,
    link: AuthorizationLink | None = None,
    is_without_parameters: bool = False,
) -> HttpResponse:
    """Render an error as a page.

    back_link: address and name of the instance, for readers who may view it. is_by_link: the reader has no user here,
    so the page has no link to other pages. link: the one that the reader came by, if it is known. is_without_parameters: the page sends the URL's fragment in their place.
    """
    info = error.info
    context = {
        "heading": info.heading or _("Could not connect"),
        "meaning": "healthy" if isinstance(error, errors.LinkDoneError) else "attention",
        "sentence": message_for_account_owner(error) if is_by_link else str(error),
        "back_link": back_link,
        **in_the_name_of(link),
        "is_by_link": is_by_link,
        "is_without_parameters": is_without_parameters,
        "can_try_again": not isinstance(error, _FINAL),
    }
    status = info.page_status or info.status
    response = render(request, "instances/error.html", context, status=status)
    if isinstance(error, errors.TooManyAttemptsError):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
