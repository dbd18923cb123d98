"""Pages and OAuth endpoints of the sandbox."""

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import InsecureTransportError, OAuth2Payload
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.csp import CSP
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from instances.catalogue.sandbox import (
    SANDBOX_CLIENT_ID,
    SANDBOX_CLIENT_SECRET,
    SANDBOX_EXPIRED_SECRET,
    SANDBOX_PASSWORD,
    SANDBOX_USERNAME,
)
from instances.sandbox.authorization_server import microsoft_error, server
from instances.sandbox.behaviour import Switch, flip, misbehaving
from instances.sandbox.forms import CertificateForm, SignInForm, SwitchForm
from instances.sandbox.grants import CodeGrant
from instances.sandbox.models import Behaviour, Certificate, Grant, Token
from instances.sandbox.refusals import REFUSED_ACCOUNTS

_NO_RESOURCE = "AADSTS901002: The 'resource' request parameter is not supported. Use scope."
# Separate from the product's own sign-in: the sandbox's account is not a user of the product.
SIGNED_IN_KEY = "sandbox_username"
# Browsers also apply form-action to the redirect that follows a form, which leads to the callback, and Chromium has no
# source expression for [::1]. Client.check_redirect_uri decides where a redirect may lead.
CONSENT_CSP = settings.SECURE_CSP | {"form-action": [CSP.SELF, "http:", "https:"]}


@csp_override(CONSENT_CSP)
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest, tenant: str) -> HttpResponse:
    """Authorization endpoint (RFC 6749 3.1): sign in, then allow or deny.

    A request with a wrong client or redirect_uri is answered with a page, never a redirect (RFC 6749 4.1.2.1).
    """
    if _is_v2(request) and "resource" in request.GET:
        return _refuse(request, _NO_RESOURCE)
    try:
        consent = server.get_consent_grant(request)
    except OAuth2Error as error:
        if error.redirect_uri:
            return server.handle_error_response(request, error)
        return _refuse(request, error.get_error_description())
    except ValueError:
        # Authlib quotes parameters in its descriptions, which may contain few characters (RFC 6749 4.1.2.1).
        return _refuse(request, _("A parameter contains characters that OAuth does not allow."))
    if SIGNED_IN_KEY not in request.session:
        return _sign_in(request)
    if "decision" in request.POST:
        return _decide(request, consent)
    return _consent_page(request, consent.request.payload)


@csrf_exempt
@sensitive_post_parameters()
@require_POST
@misbehaving
def token(request: HttpRequest, tenant: str) -> HttpResponse:
    """Token endpoint (RFC 6749 3.2): codes, refresh tokens, passwords, and the application itself."""
    if _is_v2(request) and "resource" in request.POST:
        body = microsoft_error("invalid_request", _NO_RESOURCE)
        return JsonResponse(body, status=400, headers={"Cache-Control": "no-store"})
    return _answer(partial(server.create_token_response, request))


@csrf_exempt
@sensitive_post_parameters()
@require_POST
@misbehaving
def revoke(request: HttpRequest, tenant: str) -> HttpResponse:
    """Revocation endpoint (RFC 7009 2)."""
    return _answer(partial(server.create_endpoint_response, "revocation", request))


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Front page: what the sandbox is, how to reach it, and the switches."""
    return _home(request, SwitchForm(), status=200)


@require_POST
@staff_member_required
def behaviour(request: HttpRequest) -> HttpResponse:
    """Flip a switch.

    Form fields: `switch` (deny, expire, …) and, for slow, `seconds`.
    """
    form = SwitchForm(request.POST)
    if not form.is_valid():
        return _home(request, form, status=400)
    switch = Switch(form.cleaned_data["switch"])
    flip(switch, delay_seconds=form.cleaned_data["seconds"] or 0)
    messages.success(request, _("Done: %(switch)s.") % {"switch": switch.label})
    return redirect("sandbox:home")


@require_POST
@staff_member_required
def certificates(request: HttpRequest) -> HttpResponse:
    """Register a certificate with which the client may prove itself. Form field: `certificate`, a file."""
    form = CertificateForm(request.POST, request.FILES)
    if not form.is_valid():
        return _home(request, SwitchForm(), certificate_form=form, status=400)
    messages.success(request, _("The certificate was registered."))
    return redirect("sandbox:home")


def _is_v2(request: HttpRequest) -> bool:
    return "/oauth2/v2.0/" in request.path


def _sign_in(request: HttpRequest) -> HttpResponse:
    form = SignInForm(request.POST or None)
    if form.is_valid():
        request.session.cycle_key()
        request.session[SIGNED_IN_KEY] = SANDBOX_USERNAME
        return redirect(request.get_full_path())
    return render(request, "sandbox/sign_in.html", {"form": form})


def _consent_page(request: HttpRequest, asked: OAuth2Payload) -> HttpResponse:
    context = {
        "username": request.session[SIGNED_IN_KEY],
        "client_id": asked.client_id,
        "callback": urlsplit(asked.redirect_uri).netloc,
        "resource": asked.data.get("resource"),
        "scope": asked.scope,
    }
    return render(request, "sandbox/consent.html", context)


def _decide(request: HttpRequest, consent: CodeGrant) -> HttpResponse:
    is_allowed = request.POST["decision"] == "allow" and not Behaviour.claim_denial()
    response: HttpResponse = server.create_authorization_response(
        request, grant_user=SANDBOX_USERNAME if is_allowed else None, grant=consent
    )
    return response


def _refuse(request: HttpRequest, why: str) -> HttpResponse:
    return render(request, "sandbox/refused.html", {"why": why}, status=400)


def _answer(respond: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        return respond()
    except InsecureTransportError as error:
        return server.handle_error_response(None, error)


def _home(
    request: HttpRequest,
    form: SwitchForm,
    *,
    status: int,
    certificate_form: CertificateForm | None = None,
) -> HttpResponse:
    tenant = {"tenant": "organizations"}
    context = {
        "account": {"username": SANDBOX_USERNAME, "password": SANDBOX_PASSWORD},
        "client": {"id": SANDBOX_CLIENT_ID, "secret": SANDBOX_CLIENT_SECRET},
        "endpoints": {
            _("Authorization endpoint"): reverse("sandbox:authorize", kwargs=tenant),
            _("Token endpoint"): reverse("sandbox:token", kwargs=tenant),
            _("Revocation endpoint"): reverse("sandbox:revoke", kwargs=tenant),
            _("Who am I"): reverse("sandbox:who_am_i"),
        },
        "public_url": settings.PUBLIC_URL,
        "behaviour": Behaviour.current(),
        "form": form,
        "certificate_form": certificate_form or CertificateForm(),
        "certificate_count": Certificate.objects.count(),
        "expired_secret": SANDBOX_EXPIRED_SECRET,
        "refused": REFUSED_ACCOUNTS,
        "grant_count": Grant.objects.live().count(),
        "token_count": Token.objects.count(),
    }
    return render(request, "sandbox/home.html", context, status=status)
