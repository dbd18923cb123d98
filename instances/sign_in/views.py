"""Signing in, signing out, changing one's own password, and the first page after that."""

from typing import Any

from django.contrib.auth import views
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.messages.views import SuccessMessageMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from instances.pages.forms import PageField, SignInForm
from instances.passwords import with_retry_after


class SignInView(views.LoginView):
    template_name = "instances/connect/sign_in.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    def form_invalid(self, form: Any) -> HttpResponse:
        return with_retry_after(super().form_invalid(form))


class PasswordForm(PasswordChangeForm):
    bound_field_class = PageField


class PasswordView(SuccessMessageMixin, views.PasswordChangeView):  # type: ignore[type-arg]
    template_name = "instances/connect/password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("connections")
    success_message = _("Your password was changed.")


@never_cache
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the admin, or to self-service for users who do not work in the admin."""
    return redirect("admin:index" if request.user.is_staff else "connections")
