"""Parts shared by the self-service pages: the signed-in user, query parameters, and the connection in question."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override

from instances.models import Instance
from instances.provisioning.access.permissions import InstancePermission, is_permitted


def self_service[**P](view: Callable[P, HttpResponse]) -> Callable[P, HttpResponse]:
    """Decorate a page for signed-in users. Browsers do not store it, and its forms may redirect to a provider."""
    page: Callable[P, HttpResponse] = csp_override(settings.CONNECT_CSP)(
        never_cache(login_required(view))
    )
    return page


def signed_in_user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def query_parameter(request: HttpRequest, name: str) -> str:
    """Return a parameter of the address, without NUL, which databases reject."""
    return request.GET.get(name, "").replace("\0", "").strip()


def instance_for(request: HttpRequest, pk: int, permission: InstancePermission) -> Instance:
    """Return the instance. Raises Http404 if the user may not view it, PermissionDenied without the permission."""
    user = signed_in_user(request)
    rows = Instance.objects.visible_to(user).select_related(
        "element", "organization_user__organization", "cause_interaction"
    )
    instance = get_object_or_404(rows, pk=pk)
    if not is_permitted(user, instance, permission):
        raise PermissionDenied
    return instance
