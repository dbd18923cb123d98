"""Authorization links let an account owner connect one instance in one browser.

A token is 32 random bytes, stored as a digest. Opening a link does not use it up, so that mail scanners which follow
the links of a message do no harm.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.utils import timezone, translation
from django.utils.translation import gettext as _, gettext_lazy

from instances.crypto import sealing
from instances.errors import (
    InputError,
    LinkDoneError,
    LinkOverError,
    MissingConfigurationError,
    StateConflictError,
    UnknownLinkError,
    WrongBrowserError,
)
from instances.models import AuthorizationLink, Instance
from instances.models.authorization_links import LIFETIME
from instances.provisioning.access.permissions import InstancePermission, require_permission
from instances.provisioning.actions import LINK
from instances.provisioning.hosts import allowed_hosts, require_allowed_hosts
from instances.provisioning.lifecycle.changes import locked
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_as_planned
from instances.provisioning.plan import ConnectionPlan, plan_changes, plan_of
from instances.queries.database_clock import database_now
from instances.times import format_full_time

TOKEN_BYTES = 32
_NOT_OPEN = {
    AuthorizationLink.Status.COMPLETED: gettext_lazy(
        "This link for %(name)s has already been used. Ask the person who sent it for a new one."
    ),
    AuthorizationLink.Status.EXPIRED: gettext_lazy(
        "This link for %(name)s has expired. Ask the person who sent it for a new one."
    ),
    AuthorizationLink.Status.REVOKED: gettext_lazy(
        "This link for %(name)s was revoked. Ask the person who sent it for a new one."
    ),
    AuthorizationLink.Status.WITHOUT_CREATOR: gettext_lazy(
        "This link for %(name)s no longer works, because the person who sent it no longer has access. Ask their "
        "organization for a new one."
    ),
}


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link and its address, which can never be shown again."""

    link: AuthorizationLink
    url: str = field(repr=False)


def make_link(instance: Instance, *, user: User, note: str = "") -> NewLink:
    """Create a link with which an account owner can connect this instance.

    Raises PermissionRefusedError, StateConflictError if the instance cannot be authenticated now, and
    MissingConfigurationError if it lacks an OAuth client, which an account owner cannot know.
    """
    require_permission(user, instance, InstancePermission.CHANGE)
    if not LINK.is_offered(instance):
        raise StateConflictError(
            f"{instance.label} is in the state “{instance.get_state_display()}”, so it cannot be authorized now."
        )
    plan = _plan_as_stored(instance)
    client_keys = plan.authentication.client_keys
    if missing := [key for key in plan.missing_keys if key in client_keys]:
        raise MissingConfigurationError(missing)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with locked(instance):
        link = AuthorizationLink.objects.create(
            instance=instance,
            made_by=user,
            note=note,
            token_digest=sealing.digest(token),
            digest_key_id=sealing.first_key_id(),
            expires_at=database_now() + LIFETIME,
        )
    return NewLink(link, f"{settings.PUBLIC_URL}/authorize/{token}")


def _plan_as_stored(instance: Instance) -> ConnectionPlan:
    """Plan the connection with what is stored, without secrets that cannot be read."""
    return plan_of(instance, instance.readable_configuration()).with_callback_url()


def asked_keys(instance: Instance) -> list[str]:
    """Return the keys that the account owner is asked for, in display order.

    With a browser: the required keys that are missing. Without: the credentials too. Never the OAuth client, a
    variant, or a host that was already entered.
    """
    plan = _plan_as_stored(instance)
    way = plan.authentication
    held = {*instance.configuration, *instance.secret_keys}
    settled = {
        field.key
        for field in way.fields
        if field.key in way.host_keys and not held.isdisjoint(field.names)
    }
    asked = {*plan.missing_keys, *(() if way.needs_browser else way.credential_keys)}
    return [field.key for field in way.fields if field.key in asked - settled - way.client_keys]


def plan_by_account_owner(instance: Instance, entered: Mapping[str, Any]) -> ConnectionPlan:
    """Plan the connection with the keys that the account owner may enter; others are ignored.

    A host that was left open must be one of the provider's, or listed by an operator.

    Raises HostNotAllowedError, InvalidConfigurationError, and UnreadableSecretError, since only an operator may replace
    secrets that cannot be read.
    """
    instance.full_configuration()
    asked = asked_keys(instance)
    asked += instance.authentication.password_keys(asked)
    accepted = {key: value for key, value in entered.items() if key in asked}
    plan = plan_changes(instance, accepted)
    if not plan.authentication.host_keys.isdisjoint(accepted):
        require_allowed_hosts(plan, allowed_hosts(plan, own=()))
    return plan


def send_link(new_link: NewLink, *, to: str, language: str) -> None:
    """Send the link by e-mail, in the account owner's language (settings.LANGUAGES).

    Raises InputError if it cannot be sent; the link stays valid.
    """
    link = new_link.link
    try:
        validate_email(to)
    except ValidationError:
        raise InputError(_("Enter an e-mail address, for example ada@example.com.")) from None
    words = {
        "who": link.made_by.get_full_name() or link.made_by.get_username(),
        "organization": link.instance.organization,
        "element": link.instance.element.name,
        "url": new_link.url,
        "note": f"\n{link.note}\n" if link.note else "",
    }
    # Not in the sender's time zone: the account owner may live in another one.
    with translation.override(language), timezone.override(UTC):
        words["until"] = format_full_time(link.expires_at)
        subject = _("%(who)s asks you to connect your %(element)s account") % words
        body = _(
            "%(who)s of %(organization)s asks you to connect your %(element)s account.\n%(note)s\n"
            "Open this link to review the request, and to allow or decline it:\n\n%(url)s\n\n"
            "The link works once and expires at %(until)s. If you did not expect this e-mail, ignore it.\n"
        )
    try:
        EmailMessage(subject, body % words, to=[to]).send()
    except (OSError, SMTPException):
        raise InputError(
            _("The e-mail could not be sent. Copy the link and send it yourself.")
        ) from None


def known_link(token: str) -> AuthorizationLink | None:
    """Return the link with a token, whether or not it can still be used."""
    rows = AuthorizationLink.objects.select_related(
        "made_by", "instance__element", "instance__organization_user__organization"
    )
    return rows.with_token(token).first()


def find_link(token: str, *, kept: str) -> AuthorizationLink:
    """Return the link if this browser may use it; this does not use it up.

    kept: the secrets in the browser's cookies.

    Raises UnknownLinkError, LinkOverError (LinkDoneError if the instance was connected with it), WrongBrowserError.
    """
    link = known_link(token)
    if link is None:
        raise UnknownLinkError(
            _(
                "This link does not exist. Check that the address is complete, or ask for a new link."
            )
        )
    if link.status == AuthorizationLink.Status.COMPLETED:
        done = _("This link has already been used: %(name)s is connected.")
        raise LinkDoneError(done % {"name": link.instance.name})
    require_open(link)
    if link.used_at and not link.is_of_browser(kept):
        raise WrongBrowserError(
            _(
                "This link was already opened in another browser. Continue there, or ask for a new link."
            )
        )
    return link


def require_open(link: AuthorizationLink) -> None:
    """Check that the link can still be used.

    Raises LinkOverError, which says why it cannot.
    """
    if not link.is_open:
        sentence = _NOT_OPEN[link.status]
        raise LinkOverError(sentence % {"name": link.instance.name})


def claim_link(link: AuthorizationLink, *, fresh_secret: str) -> None:
    """Bind the link to this browser; from now on no other browser can use it.

    fresh_secret: a new secret, never one that the browser sent, since an attacker may have planted that.

    Raises LinkOverError if another browser was first.
    """
    # Use the key of the token's digest, so that the link depends on a single key after a rotation.
    digest = sealing.digest(fresh_secret, key_id=link.digest_key_id)
    if not AuthorizationLink.objects.claim(link, browser_digest=digest, at=timezone.now()):
        raise LinkOverError(_("This link was just used. Ask the person who sent it for a new one."))
    link.refresh_from_db(fields=["used_at", "browser_digest"])


def connect_by_link(link: AuthorizationLink, *, configuration: Mapping[str, Any]) -> Instance:
    """Connect the link's instance with what was entered, and use up the link.

    Raises HostNotAllowedError and what reauthenticate_as_planned() raises; the same browser may then try again.
    """
    plan = plan_by_account_owner(link.instance, configuration)
    instance = reauthenticate_as_planned(link.instance, plan, actor=link.actor)
    AuthorizationLink.objects.complete(link, at=timezone.now())
    return instance


def revoke_link(link: AuthorizationLink, *, user: User) -> None:
    """Revoke a link, so that it can no longer be used.

    Raises PermissionRefusedError, StateConflictError if it is no longer open.
    """
    require_permission(user, link.instance, InstancePermission.CHANGE)
    if not AuthorizationLink.objects.revoke(link, at=timezone.now()):
        raise StateConflictError(
            f"The link for {link.instance.label} is no longer open ({link.status.label}), so there is nothing to revoke."
        )
