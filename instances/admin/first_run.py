"""The first run: from an empty installation to the first connected instance."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.translation import gettext as _

from instances.models import Element, OAuthApp, Organization, OrganizationUser
from instances.provisioning.plan import default_callback_url

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(slots=True)
class FirstStep:
    """One step. url and label: its button. copied: a text that is needed elsewhere."""

    title: "StrOrPromise"
    text: "StrOrPromise"
    url: str = ""
    label: "StrOrPromise" = ""
    copied: str = ""
    is_done: bool = False
    is_current: bool = False


def first_run(user: User | AnonymousUser) -> dict[str, Any]:
    """Return the steps that the user may take, and the way out through the sandbox."""
    if not user.has_perm("instances.add_instance"):
        return {"is_first_run": True}
    steps = [_organization_step(user), _oauth_app_step(user), _connect_step(), _use_step()]
    current = next(step for step in steps if not step.is_done)
    current.is_current = True
    return {"is_first_run": True, "first_steps": steps, "sandbox_url": _sandbox_url(user)}


def _organization_step(user: User | AnonymousUser) -> FirstStep:
    title = _("Create an organization")
    owner = OrganizationUser.objects.operated_by(user).select_related("organization").first()
    if owner:
        text = _("%(organization)s, with the user %(user)s.")
        names = {"organization": owner.organization.name, "user": owner.email}
        url = reverse("admin:instances_organization_change", args=[owner.organization_id])
        return FirstStep(title, text % names, url, _("Change"), is_done=True)
    organization = Organization.objects.operated_by(user).first()
    if organization:
        text = _("%(organization)s needs a user: the person or program that owns its instances.")
        may_add = _may(user, "organizationuser")
        url = reverse("admin:instances_organizationuser_add") if may_add else ""
        if not may_add:
            text = _("%(organization)s needs a user. Ask an administrator to add one.")
        names = {"organization": organization.name}
        return FirstStep(title, text % names, url, _("Add an organization user"))
    return FirstStep(
        title,
        _("A customer, or a department of your own. Its instances and secrets are kept apart."),
        reverse("admin:instances_organization_add") if _may(user, "organization") else "",
        _("Create an organization"),
    )


def _oauth_app_step(user: User | AnonymousUser) -> FirstStep:
    title = _("Register an OAuth app")
    apps = OAuthApp.objects.filter(organization__in=Organization.objects.operated_by(user))
    app = apps.select_related("element").first()
    if app:
        url = reverse("admin:instances_oauthapp_change", args=[app.pk])
        return FirstStep(title, str(app.element), url, _("Change"), is_done=True)
    return FirstStep(
        title,
        _(
            "Services such as Salesforce and HubSpot send people back to this address after they sign in. Enter it "
            "where you register the app. Services with a password or key need no OAuth app."
        ),
        reverse("admin:instances_oauthapp_add") if _may(user, "oauthapp") else "",
        _("Add an OAuth app"),
        copied=default_callback_url(),
    )


def _connect_step() -> FirstStep:
    return FirstStep(
        _("Connect the first account"),
        _("Sign in to the service yourself, or send a link to the account owner."),
        reverse("admin:instances_instance_add"),
        _("Connect an account"),
    )


def _use_step() -> FirstStep:
    return FirstStep(_("Use it"), _("Read records with one request from your own program."))


def _may(user: User | AnonymousUser, model: str) -> bool:
    return user.has_perm(f"instances.add_{model}")


def _sandbox_url(user: User | AnonymousUser) -> str:
    """Return where to connect an account of the sandbox; empty without a sandbox.

    An organization reaches it by its endpoint overrides.
    """
    if not settings.SANDBOX_ENABLED:
        return ""
    practising = Organization.objects.operated_by(user).exclude(endpoint_overrides={})
    owner = OrganizationUser.objects.filter(organization__in=practising).first()
    if owner is None:
        return reverse("sandbox:home")
    keys = list(owner.organization.endpoint_overrides)
    element = Element.objects.connectable().filter(key__in=keys).first()
    if element is None:
        return reverse("sandbox:home")
    return reverse("admin:instances_instance_configure", args=[owner.pk, element.pk])
