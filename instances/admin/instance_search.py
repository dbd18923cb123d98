"""The search for instances. It is sent by POST, so that an Element token never becomes part of a URL.

A token leads to the page of its instance, which is found by the token's digest. Other text becomes `q=` of the list's
address, unless it looks like a token and matches no instance. If a URL has such a `q=` anyway, it is removed at once.
"""

import re
from typing import Any

from django.contrib import messages
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _, gettext_lazy

from instances.admin.instance_filters import search_conditions
from instances.models import Instance

SEARCH_HELP = gettext_lazy("Search by name, email, tag, account, ID or Element token")
_LOOKS_LIKE_TOKEN = re.compile(r"[\w+/=.~-]{24,}")


def search_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Handle the search form, which also sends the list's filters."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    entered = request.POST.copy()
    entered.pop("csrfmiddlewaretoken", None)
    entered.pop(PAGE_VAR, None)
    return _redirect_to_result(request, entered)


def hide_token(request: HttpRequest) -> HttpResponse | None:
    """Redirect if the list's address contains a token. Returns None otherwise."""
    text = request.GET.get(SEARCH_VAR, "").strip()
    if not _may_be_token(request, text):
        return None
    return _redirect_to_result(request, request.GET.copy())


def _redirect_to_result(request: HttpRequest, query: QueryDict) -> HttpResponse:
    text = query.pop(SEARCH_VAR, [""])[-1].strip()
    if instance := Instance.objects.visible_to(request.user).with_token(text).first():
        return redirect("admin:instances_instance_change", instance.pk)
    if _may_be_token(request, text):
        messages.warning(
            request, _("No instance that you may view has this name or this Element token.")
        )
    elif text:
        query[SEARCH_VAR] = text
    address = reverse("admin:instances_instance_changelist")
    return redirect(f"{address}?{query.urlencode()}" if query else address)


def _may_be_token(request: HttpRequest, text: str) -> bool:
    """Return whether it looks like a token and matches nothing in the list."""
    if not _LOOKS_LIKE_TOKEN.fullmatch(text):
        return False
    visible = Instance.objects.visible_to(request.user)
    return not any(visible.filter(condition).exists() for condition in search_conditions(text))
