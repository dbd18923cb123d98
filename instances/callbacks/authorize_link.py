"""/authorize/<token>: an account owner sees who asks for access to what, and connects it without signing in here."""

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
from instances.callbacks.error_pages import explain_error, in_the_name_of
from instances.crypto import sealing
from instances.models import AuthorizationLink, Instance
from instances.pages.forms import ConfigurationForm
from instances.pages.oauth_redirect import (
    browser_secrets,
    redirect_to_provider,
    remember_browser,
    remember_visit,
    visit_secret_of,
)
from instances.provisioning.oauth.authorize import new_browser_secret
from instances.provisioning.oauth.links import (
    asked_keys,
    claim_link,
    connect_by_link,
    find_link,
    known_link,
)
from instances.provisioning.status.audience import message_for_account_owner


@csp_override(settings.CONNECT_CSP)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest, token: str) -> HttpResponse:
    """Show the page of a link. A GET leaves the link unused; the first POST binds it to this browser."""
    # The address is a secret. Django's Referrer-Policy, same-origin, hides it from every other site. With no-referrer,
    # browsers would send "Origin: null" with the form, which Django rejects.
    fresh_secret = ""
    try:
        link = find_link(token, kept=browser_secrets(request))
        form = _form_of(link.instance, request)
        response = None
        if request.method == "POST" and (form is None or form.is_valid()):
            if not link.used_at:
                visit_secret = visit_secret_of(request) or new_browser_secret()
                claim_link(link, fresh_secret=visit_secret)
                fresh_secret = visit_secret
            response = _connect(request, link, form)
        if response is None:
            response = _page(request, link, form)
    except errors.InstancesError as error:
        response = explain_error(request, error, link=known_link(token))
    return remember_browser(request, response, fresh_secret) if fresh_secret else response


def _page(
    request: HttpRequest, link: AuthorizationLink, form: ConfigurationForm | None
) -> HttpResponse:
    visit_secret = new_browser_secret()
    context = {
        **in_the_name_of(link),
        "instance": link.instance,
        "form": form,
        "is_oauth": link.instance.authentication.needs_browser,
        "note": link.instance.authentication.note,
        "visit": sealing.digest(visit_secret),
    }
    response = render(request, "instances/authorize.html", context)
    return response if link.used_at else remember_visit(response, visit_secret)


def _form_of(instance: Instance, request: HttpRequest) -> ConfigurationForm | None:
    """Return the form of the values to enter, or None if the provider needs nothing before the redirect."""
    way, asked = instance.authentication, asked_keys(instance)
    if way.needs_browser and not asked:
        return None
    form = ConfigurationForm(
        way,
        has_oauth_app=True,
        can_choose=not instance.organization.is_remote,
        instance=instance,
        data=request.POST if request.method == "POST" else None,
        files=request.FILES if request.method == "POST" else None,
    )
    form.keep_only(asked)
    return form


def _connect(
    request: HttpRequest,
    link: AuthorizationLink,
    form: ConfigurationForm | None,
) -> HttpResponse | None:
    """Redirect to the provider or show the thank-you page. Returns None if refused; the page then has the error."""
    instance, entered = link.instance, form.configuration if form else {}
    try:
        if instance.authentication.needs_browser:
            return redirect_to_provider(request, instance, configuration=entered, link=link)
        connect_by_link(link, configuration=entered)
    except (errors.HostNotAllowedError, errors.SecretsNeededAgainError) as refusal:
        if form and form.asks_for(refusal.key):
            form.add_error_at(refusal.key, _("This is not an address of the service. Correct it."))
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
    return thank(request, instance, link)


def thank(request: HttpRequest, instance: Instance, link: AuthorizationLink | None) -> HttpResponse:
    """Show the last page of a link."""
    context: dict[str, Any] = {"instance": instance, **in_the_name_of(link)}
    return render(request, "instances/thanks.html", context)
