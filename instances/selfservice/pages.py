"""What the pages of self-service share: who is there, what is asked for, and which connection is meant."""

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
    """A page for whoever is signed in. It is not stored, and its forms may end at a provider."""
    page: Callable[P, HttpResponse] = csp_override(settings.CONNECT_CSP)(
        never_cache(login_required(view))
    )
    return page


def account_of(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def asked_for(request: HttpRequest, name: str) -> str:
    """What the address asks for; without NUL, which no database takes."""
    return request.GET.get(name, "").replace("\0", "").strip()


def instance_for(request: HttpRequest, pk: int, verb: InstancePermission) -> Instance:
    """The instance; 404 where the account may not know of it, 403 where it may only look."""
    account = account_of(request)
    rows = Instance.objects.visible_to(account).select_related(
        "element", "organization_user__organization", "cause_interaction"
    )
    instance = get_object_or_404(rows, pk=pk)
    if not is_permitted(account, instance, verb):
        raise PermissionDenied
    return instance
