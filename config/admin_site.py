"""The admin site: Unfold's, with the admin's own content security policy."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.admin import apps
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.csp import csp_override
from unfold.sites import UnfoldAdminSite

from instances.passwords import with_retry_after

View = Callable[..., HttpResponseBase]


class AdminSite(UnfoldAdminSite):
    """Unfold's site, with ADMIN_CSP instead of SECURE_CSP, and with the sign-in pages of self-service."""

    login_template = "instances/connect/sign_in.html"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return super().admin_view(csp_override(settings.ADMIN_CSP)(view), cacheable)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        return with_retry_after(super().login(request, extra_context))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        return redirect("password")


class AdminConfig(apps.AdminConfig):
    default_site = "config.admin_site.AdminSite"
