"""The search for instances: sent by POST, so that an Element token that is looked for stands in no URL.

A token leads to its instance's page, by its digest. What else was entered becomes `q=` of the list's address, unless it
looks like a token and nothing is called so. Such a `q=` that came in a URL all the same is taken out of it at once.
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

SEARCH_HELP = gettext_lazy("Beginning of name or e-mail address, tag, id, Element token")
_LOOKS_LIKE_TOKEN = re.compile(r"[\w+/=.~-]{24,}")


def search_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Where the search form sends to, with the list's filters beside the text."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    entered = request.POST.copy()
    entered.pop("csrfmiddlewaretoken", None)
    entered.pop(PAGE_VAR, None)
    return _found(request, entered)


def hide_token(request: HttpRequest) -> HttpResponse | None:
    """For a list whose address has a token in it: another address."""
    text = request.GET.get(SEARCH_VAR, "").strip()
    return _found(request, request.GET.copy()) if _may_be_token(request, text) else None


def _found(request: HttpRequest, query: QueryDict) -> HttpResponse:
    text = query.pop(SEARCH_VAR, [""])[-1].strip()
    if instance := Instance.objects.visible_to(request.user).with_token(text).first():
        return redirect("admin:instances_instance_change", instance.pk)
    if _may_be_token(request, text):
        messages.warning(
            request, _("Nothing is called so, and it is no Element token that you may search for.")
        )
    elif text:
        query[SEARCH_VAR] = text
    address = reverse("admin:instances_instance_changelist")
    return redirect(f"{address}?{query.urlencode()}" if query else address)


def _may_be_token(request: HttpRequest, text: str) -> bool:
    """Whether it looks like one, and like nothing that the list could find."""
    if not _LOOKS_LIKE_TOKEN.fullmatch(text):
        return False
    visible = Instance.objects.visible_to(request.user)
    return not any(visible.filter(way).exists() for way in search_conditions(text))
