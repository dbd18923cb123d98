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

from instances import crypto, errors
from instances.callbacks.error_pages import explain_error
from instances.models import AuthorizationLink, Instance
from instances.pages.forms import ConfigurationForm
from instances.pages.oauth_redirect import (
    kept_by,
    redirect_to_provider,
    remember_browser,
    remember_visit,
    visit_secret_of,
)
from instances.provisioning.oauth.authorize import new_browser_secret
from instances.provisioning.oauth.links import asked_keys, claim_link, connect_by_link, find_link
from instances.provisioning.plan import authentication_of
from instances.provisioning.status.audience import message_for_account_owner


@csp_override(settings.CONNECT_CSP)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest, token: str) -> HttpResponse:
    """A GET uses nothing up; the first POST binds the link to this browser."""
    # The address is a secret. Django's Referrer-Policy, same-origin, keeps it from every other site; with
    # no-referrer, browsers would send "Origin: null" with the form, which Django refuses.
    fresh_secret = ""
    try:
        link = find_link(token, kept=kept_by(request))
        form = _form_of(link.instance, request)
        answer = None
        if request.method == "POST" and (form is None or form.is_valid()):
            if not link.used_at:
                visit_secret = visit_secret_of(request) or new_browser_secret()
                claim_link(link, fresh_secret=visit_secret)
                fresh_secret = visit_secret
            answer = _connect(request, link, form)
        if answer is None:
            answer = _page(request, link, form)
    except errors.InstancesError as error:
        answer = explain_error(request, error)
    return remember_browser(request, answer, fresh_secret) if fresh_secret else answer


def _page(
    request: HttpRequest, link: AuthorizationLink, form: ConfigurationForm | None
) -> HttpResponse:
    visit_secret = new_browser_secret()
    context = {
        "link": link,
        "instance": link.instance,
        "form": form,
        "is_oauth": authentication_of(link.instance).needs_browser,
        "visit": crypto.digest(visit_secret),
    }
    answer = render(request, "instances/authorize.html", context)
    return answer if link.used_at else remember_visit(answer, visit_secret)


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
) -> HttpResponse | None:
    """The way to the provider, the thank-you page, or None with the refusal on the page."""
    instance, entered = link.instance, form.configuration if form else {}
    try:
        if authentication_of(instance).needs_browser:
            return redirect_to_provider(request, instance, configuration=entered, link=link)
        connect_by_link(link, configuration=entered)
    except (errors.HostNotAllowedError, errors.SecretsNeededAgainError) as refusal:
        if form and form.asks_for(refusal.key):
            form.complain(refusal.key, _("This is not an address of the service. Correct it."))
        else:
            messages.error(request, message_for_account_owner(refusal))
        return None
    except errors.InputError as refusal:
        if form:
            form.add_refusal(refusal)
        else:
            messages.error(request, str(refusal))
        return None
    except errors.PlatformError as error:
        messages.error(request, message_for_account_owner(error))
        return None
    return thank(request, instance)


def thank(request: HttpRequest, instance: Instance) -> HttpResponse:
    """The end of the way by link."""
    context: dict[str, Any] = {"instance": instance}
    return render(request, "instances/thanks.html", context)
