"""Where a provider sends the browser back: to the instance when it worked, else to a page that says why not."""

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from instances import errors
from instances.models import Authorization, Instance
from instances.provisioning.authorization import BROWSER_COOKIE, complete_authorization

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

# What a provider sends is a handful of short values; a code is the longest of them.
MAX_PARAMETERS = 30
MAX_NAME_CHARACTERS = 100
MAX_VALUE_CHARACTERS = 4000
# The first class that fits; RFC 9110 15.5 and 15.6.
_STATUSES: tuple[tuple[type[errors.InstancesError], int], ...] = (
    (errors.ExpiredStateError, 410),
    (errors.ReplayedStateError, 409),
    (errors.WrongBrowserError, 403),
    (errors.AuthorizationDeniedError, 403),
    (errors.ProviderReportedError, 502),
    (errors.AuthorizationError, 400),
    (errors.RefusedError, 400),
    (errors.PlatformError, 502),
    (errors.StateConflictError, 409),
    (errors.SecretError, 500),
    (errors.InstancesError, 400),
)
_HEADINGS: tuple[tuple[type[errors.InstancesError], "StrPromise"], ...] = (
    (errors.AuthorizationDeniedError, gettext_lazy("Access was not allowed")),
    (errors.ReplayedStateError, gettext_lazy("This was done already")),
    (errors.InstancesError, gettext_lazy("It could not be connected")),
)


@require_GET
@never_cache
def oauth_callback(request: HttpRequest) -> HttpResponse:
    """RFC 6749 4.1.2. Whether this browser and person are the ones that began is for the verb to find out."""
    parameters = {
        name[:MAX_NAME_CHARACTERS]: values[0][:MAX_VALUE_CHARACTERS]
        for name, values in list(request.GET.lists())[:MAX_PARAMETERS]
    }
    try:
        instance = complete_authorization(
            parameters,
            account=request.user,
            browser_secret=request.COOKIES.get(BROWSER_COOKIE, ""),
        )
    except errors.InstancesError as error:
        response = _explain(request, error, _instance_of(parameters.get("state", "")))
    else:
        messages.success(request, _("%s is connected.") % instance.name)
        response = redirect("admin:instances_instance_change", instance.pk)
    # The address holds a code: nobody that this page leads to may learn it.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _instance_of(state: str) -> Instance | None:
    trips = Authorization.objects.with_state(state).select_related("instance__element")
    authorization = trips.first() if state else None
    return authorization.instance if authorization else None


def _explain(
    request: HttpRequest, error: errors.InstancesError, instance: Instance | None
) -> HttpResponse:
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    account = request.user
    may_see = account.is_active and account.is_staff and account.has_perm("instances.view_instance")
    context = {
        "heading": next(heading for kind, heading in _HEADINGS if isinstance(error, kind)),
        "sentence": str(error),
        "instance": instance if may_see else None,
    }
    return render(request, "instances/oauth_callback.html", context, status=status)
