"""Where a browser goes on after it came back from a provider."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from instances.models import Instance
from instances.provisioning.access.permissions import InstancePermission, is_permitted


def return_to(request: HttpRequest, instance: Instance) -> HttpResponse:
    messages.success(request, _("%s is connected.") % instance.name)
    return redirect(page_of(request, instance))


def back_link(request: HttpRequest, instance: Instance) -> tuple[str, str] | None:
    """Return the address and name of the instance, or None if the user may not view it."""
    if not is_permitted(request.user, instance, InstancePermission.VIEW):
        return None
    return page_of(request, instance), instance.name


def page_of(request: HttpRequest, instance: Instance) -> str:
    """Return the instance's address in the admin for its users, otherwise in self-service."""
    uses_admin = request.user.is_active and request.user.is_staff
    name = "admin:instances_instance_change" if uses_admin else "connection"
    return reverse(name, args=[instance.pk])
