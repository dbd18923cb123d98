"""Parts shared by the self-service pages."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override


def self_service[**P](view: Callable[P, HttpResponse]) -> Callable[P, HttpResponse]:
    """Decorate a page for signed-in users. Browsers do not store it, and its forms may redirect to a provider."""
    page: Callable[P, HttpResponse] = csp_override(settings.CONNECT_CSP)(
        never_cache(login_required(view))
    )
    return page


def query_parameter(request: HttpRequest, name: str) -> str:
    """Return a parameter of the address, without NUL, which databases reject."""
    return request.GET.get(name, "").replace("\0", "").strip()
