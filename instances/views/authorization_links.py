"""/authorize/<token>: an account's holder sees who asks for what, and connects it, without an account here."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_http_methods

from instances import errors
from instances.browser import browser_secret_of, remember_browser, send_to_provider
from instances.forms import ConfigurationForm
from instances.models import AuthorizationLink, Instance
from instances.provisioning.authorization_links import (
    asked_keys,
    claim_link,
    connect_by_link,
    find_link,
)
from instances.provisioning.configuration import authentication_of
from instances.provisioning.readers import tell_holder
from instances.views.error_pages import explain_error


@csp_override(settings.CONNECT_CSP)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest, token: str) -> HttpResponse:
    """A GET uses nothing up; the first POST binds the link to this browser."""
    # The address is a secret. Django's Referrer-Policy, same-origin, keeps it from every other site; with
    # no-referrer, browsers would send "Origin: null" with the form, which Django refuses.
    browser_secret = browser_secret_of(request)
    try:
        link = find_link(token, browser_secret=browser_secret)
        form = _form_of(link.instance, request)
        if request.method == "POST" and (form is None or form.is_valid()):
            claim_link(link, browser_secret=browser_secret)
            answer = _connect(request, link, form, browser_secret)
            if answer is not None:
                return remember_browser(answer, browser_secret)
    except errors.InstancesError as error:
        return explain_error(request, error)
    context = {
        "link": link,
        "instance": link.instance,
        "form": form,
        "is_oauth": authentication_of(link.instance).needs_browser,
    }
    return remember_browser(render(request, "instances/authorize.html", context), browser_secret)


def _form_of(instance: Instance, request: HttpRequest) -> ConfigurationForm | None:
    """What the holder has to enter; None where a trip to the provider lacks nothing."""
    way, asked = authentication_of(instance), asked_keys(instance)
    if way.needs_browser and not asked:
        return None
    form = ConfigurationForm(
        way,
        has_oauth_app=True,
        instance=instance,
        data=request.POST if request.method == "POST" else None,
    )
    form.keep_only(asked)
    return form


def _connect(
    request: HttpRequest,
    link: AuthorizationLink,
    form: ConfigurationForm | None,
    browser_secret: str,
) -> HttpResponse | None:
    """The way to the provider, the thank-you page, or None with the refusal on the page."""
    instance, entered = link.instance, form.configuration if form else {}
    try:
        if authentication_of(instance).needs_browser:
            return send_to_provider(
                request,
                instance,
                configuration=entered,
                browser_secret=browser_secret,
                link=link,
            )
        connect_by_link(link, configuration=entered)
    except (errors.HostNotAllowedError, errors.SecretsNeededAgainError) as refusal:
        if form and form.asks_for(refusal.key):
            form.complain(refusal.key, _("This is not an address of the service. Correct it."))
        else:
            messages.error(request, tell_holder(refusal))
        return None
    except errors.InputError as refusal:
        if form:
            form.add_refusal(refusal)
        else:
            messages.error(request, str(refusal))
        return None
    except errors.PlatformError as error:
        messages.error(request, tell_holder(error))
        return None
    return thank(request, instance)


def thank(request: HttpRequest, instance: Instance) -> HttpResponse:
    """The end of the way by link."""
    context: dict[str, Any] = {"instance": instance}
    return render(request, "instances/thanks.html", context)
