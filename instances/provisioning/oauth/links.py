"""Authorization links: made for one instance, sent to the account's holder, gone through by one browser.

A token is 32 random bytes, kept as a digest. Looking at a link uses nothing up, so that programs which look at
the links of a message do no harm.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.utils import timezone
from django.utils.translation import gettext as _, gettext_lazy

from instances import crypto
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
from instances.provisioning.hosts import allowed_hosts, require_allowed_hosts
from instances.provisioning.lifecycle.changes import locked
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.plan import (
    OAUTH_APP_KEYS,
    authentication_of,
    default_callback_url,
    oauth_app_for,
    with_oauth_app,
)
from instances.provisioning.status.explain import Step, is_offered
from instances.queries.database_clock import database_now

TOKEN_BYTES = 32
_OVER = {
    AuthorizationLink.Status.COMPLETED: gettext_lazy(
        "The link for %(name)s has already been used. Ask who sent it for a new one."
    ),
    AuthorizationLink.Status.EXPIRED: gettext_lazy(
        "The link for %(name)s has expired. Ask who sent it for a new one."
    ),
    AuthorizationLink.Status.REVOKED: gettext_lazy(
        "The link for %(name)s was revoked. Ask who sent it for a new one."
    ),
    AuthorizationLink.Status.WITHOUT_CREATOR: gettext_lazy(
        "The link for %(name)s no longer works: the person who sent it no longer has access here. Ask their "
        "organization for a new one."
    ),
}


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link and its address, which is known now and never again."""

    link: AuthorizationLink
    url: str = field(repr=False)


def make_link(instance: Instance, *, account: User, note: str = "") -> MadeLink:
    """A link that lets whoever opens it connect this one instance.

    Raises PermissionRefusedError, StateConflictError when the instance cannot be authenticated now, and
    MissingConfigurationError when it lacks an OAuth client, which an account's holder cannot know.
    """
    require_permission(account, instance, InstancePermission.CHANGE)
    if not takes_link(instance):
        raise StateConflictError(
            f"{instance.label} is {instance.get_state_display()}, so nobody can authorize it now."
        )
    client_keys = authentication_of(instance).client_keys
    if missing := [key for key in missing_keys(instance) if key in client_keys]:
        raise MissingConfigurationError(missing)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with locked(instance):
        link = AuthorizationLink.objects.create(
            instance=instance,
            made_by=account,
            note=note,
            token_digest=crypto.digest(token),
            digest_key_id=crypto.first_key_id(),
            expires_at=database_now() + LIFETIME,
        )
    return MadeLink(link, f"{settings.PUBLIC_URL}/authorize/{token}")


def takes_link(instance: Instance) -> bool:
    """Whether there is anything for the account's holder to do."""
    return is_offered(Step.REAUTHENTICATE, instance) or is_offered(Step.AUTHORIZE, instance)


def missing_keys(instance: Instance) -> list[str]:
    """The required configuration keys that neither the instance nor the organization's OAuth app has."""
    way, organization = authentication_of(instance), instance.organization
    held = {"oauth.callback.url": default_callback_url()} | instance.readable_configuration()
    complete = with_oauth_app(organization, instance.element, way, held)
    elsewhere = OAUTH_APP_KEYS if organization.is_remote else ()
    return [key for key in way.missing_keys(complete) if key not in elsewhere]


def asked_keys(instance: Instance) -> list[str]:
    """The configuration keys that are for the account's holder to enter, in order of display.

    With a browser: what is required and nobody has entered. Without: the account's credentials, too. Never the OAuth
    client, a variant, or a host that was entered already.
    """
    way = authentication_of(instance)
    held = {*instance.configuration, *instance.secret_keys}
    settled = {
        field.key
        for field in way.fields
        if field.key in way.host_keys and not held.isdisjoint(field.names)
    }
    asked = set(missing_keys(instance)) | (set() if way.needs_browser else way.credential_keys)
    return [field.key for field in way.fields if field.key in asked - settled - way.client_keys]


def accept_from_holder(instance: Instance, entered: Mapping[str, Any]) -> dict[str, Any]:
    """What of it the account's holder may enter; the rest changes nothing.

    A host that was left open must be one of the provider's, or one that operators listed. Raises HostNotAllowedError.
    """
    asked = asked_keys(instance)
    accepted = {key: value for key, value in entered.items() if key in asked}
    organization, element = instance.organization, instance.element
    changed = {**instance.full_configuration(), **accepted}
    way = authentication_of(instance, changed)
    if not way.host_keys.isdisjoint(accepted):
        app = oauth_app_for(organization, element, way, changed)
        listed = allowed_hosts(organization, element, app, own=())
        require_allowed_hosts(organization, element, way, changed, listed)
    return accepted


def send_link(made: MadeLink, *, to: str) -> None:
    """Send the address by e-mail. Raises InputError where it cannot be sent; the link itself stays good."""
    link = made.link
    try:
        validate_email(to)
    except ValidationError:
        raise InputError(_("Enter an e-mail address, for example ada@example.com.")) from None
    words = {
        "who": link.made_by.get_full_name() or link.made_by.get_username(),
        "organization": link.instance.organization,
        "element": link.instance.element.name,
        "url": made.url,
        "note": f"\n{link.note}\n" if link.note else "",
        "until": link.expires_at.strftime("%Y-%m-%d %H:%M UTC"),
    }
    subject = _("%(who)s asks you to connect your %(element)s account") % words
    body = _(
        "%(who)s of %(organization)s asks you to connect your %(element)s account.\n%(note)s\n"
        "Open this link to see what for, and to allow it or not:\n\n%(url)s\n\n"
        "It works once, until %(until)s. If you do not expect it, do nothing.\n"
    )
    try:
        EmailMessage(subject, body % words, to=[to]).send()
    except (OSError, SMTPException):
        raise InputError(
            _("The e-mail could not be sent. Copy the link and send it yourself.")
        ) from None


def find_link(token: str, *, kept: str) -> AuthorizationLink:
    """The link, if the browser that keeps these secrets may still go through it. Nothing is used up.

    Raises UnknownLinkError, LinkOverError (LinkDoneError where it has been of use), WrongBrowserError.
    """
    rows = AuthorizationLink.objects.select_related(
        "made_by", "instance__element", "instance__organization_user__organization"
    )
    link = rows.with_token(token).first()
    if link is None:
        raise UnknownLinkError(
            _("There is no such link. Open it as it was sent to you, or ask for a new one.")
        )
    if link.status == AuthorizationLink.Status.COMPLETED:
        done = _("%(name)s was connected with this link, which has nothing left to do.")
        raise LinkDoneError(done % {"name": link.instance.name})
    require_open(link)
    if link.used_at and not link.is_of_browser(kept):
        raise WrongBrowserError(
            _("This link was opened in another browser already. Go on there, or ask for a new one.")
        )
    return link


def require_open(link: AuthorizationLink) -> None:
    """Raises LinkOverError, which says what ended it."""
    if not link.is_open:
        sentence = _OVER[link.status]
        raise LinkOverError(sentence % {"name": link.instance.name})


def claim_link(link: AuthorizationLink, *, fresh_secret: str) -> None:
    """Bind the link to one browser: the first that goes on with it is the only one that can.

    fresh_secret: what we gave this browser; never what it sent by itself, which may have been planted. Raises
    LinkOverError when another came first.
    """
    # With the key of its token: after a rotation the link needs that one alone.
    digest = crypto.digest(fresh_secret, key_id=link.digest_key_id)
    if not AuthorizationLink.objects.claim(link, browser_digest=digest, at=timezone.now()):
        raise LinkOverError(_("This link was used in the meantime. Ask who sent it for a new one."))
    link.refresh_from_db(fields=["used_at", "browser_digest"])


def connect_by_link(link: AuthorizationLink, *, configuration: Mapping[str, Any]) -> Instance:
    """Connect the link's instance with what the account's holder entered; the link is then over.

    Raises what reauthenticate_instance() raises; the same browser may try again.
    """
    accepted = accept_from_holder(link.instance, configuration)
    instance = reauthenticate_instance(link.instance, actor=link.actor, configuration=accepted)
    AuthorizationLink.objects.complete(link, at=timezone.now())
    return instance


def revoke_link(link: AuthorizationLink, *, account: User) -> None:
    """From now on nobody can go through it. Raises PermissionRefusedError, StateConflictError when it is over."""
    require_permission(account, link.instance, InstancePermission.CHANGE)
    if not AuthorizationLink.objects.revoke(link, at=timezone.now()):
        raise StateConflictError(
            f"The link for {link.instance.label} is over already: {link.status.label}."
        )
