"""The two frames that show the pages of an instance: the admin and self-service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from instances.models import Instance
from instances.pages.admin_pages import allow_leaving
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.actions import Action


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds a page: the template that it extends, and the names of its addresses."""

    is_admin: bool
    base: str
    list_name: str
    instance_name: str
    action_name: str
    revoke_name: str

    @property
    def list_url(self) -> str:
        return reverse(self.list_name)

    def instance_url(self, instance: Instance) -> str:
        return reverse(self.instance_name, args=[instance.pk])

    def action_url(self, action: Action, instance: Instance) -> str:
        return reverse(self.action_name, args=[instance.pk, action.name])

    def render(
        self, request: HttpRequest, template: str, context: Mapping[str, Any]
    ) -> HttpResponse:
        """Render a page whose forms may redirect to a provider."""
        own = admin.site.each_context(request) | {"opts": Instance._meta} if self.is_admin else {}
        name = f"instances/pages/{template}"
        response = TemplateResponse(request, name, {**own, "frame": self, **context})
        return allow_leaving(response) if self.is_admin else response


ADMIN = Frame(
    is_admin=True,
    base="admin/instances/page.html",
    list_name="admin:instances_instance_changelist",
    instance_name="admin:instances_instance_change",
    action_name="admin:instances_instance_action",
    revoke_name="admin:instances_instance_revoke_link",
)
SELF_SERVICE = Frame(
    is_admin=False,
    base="instances/pages/self_service.html",
    list_name="connections",
    instance_name="connection",
    action_name="connection_action",
    revoke_name="revoke_link",
)


def signed_in_user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def permitted_instance(request: HttpRequest, pk: int, permission: InstancePermission) -> Instance:
    """Return the instance. Raises Http404 if the user may not view it, PermissionDenied without the permission."""
    user = signed_in_user(request)
    rows = Instance.objects.visible_to(user).select_related(
        "element", "organization_user__organization", "cause_interaction"
    )
    instance = get_object_or_404(rows, pk=pk)
    if not is_permitted(user, instance, permission):
        raise PermissionDenied
    return instance
