"""Organizations, their users, and the two secrets that every platform call carries."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.db import transaction

from instances import crypto
from instances.catalogue.sandbox import (
    SANDBOX_CLIENT_ID,
    SANDBOX_CLIENT_SECRET,
    SANDBOX_ENDPOINT_OVERRIDES,
)
from instances.errors import InputError
from instances.models import Element, OAuthApp, Organization, OrganizationUser


@dataclass(frozen=True, slots=True)
class Account:
    """An organization user and the secrets that were generated for it just now, if any: shown once."""

    user: OrganizationUser
    organization_secret: str | None = field(repr=False)
    user_secret: str | None = field(repr=False)


def generate_organization_secret() -> str:
    """32 lower-case hex digits (contract 2.1)."""
    return secrets.token_hex(16)


def generate_user_secret() -> str:
    """32 random bytes in base64 (contract 2.1)."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def create_account(
    organization_name: str,
    email: str,
    *,
    platform_url: str = "",
    organization_secret: str = "",
    user_secret: str = "",
    is_sandbox: bool = False,
    is_rotating: bool = False,
) -> Account:
    """Make the organization and its user, or complete what is there; safe to run again.

    With platform_url the secrets are those of the remote platform and must be given; otherwise they are
    generated, once, and anew with is_rotating. Raises InputError and changes nothing.
    """
    _validate(organization_name, email, platform_url, organization_secret, user_secret)
    with transaction.atomic():
        organization, _ = Organization.objects.get_or_create(
            name=organization_name.strip(), defaults={"platform_url": platform_url.rstrip("/")}
        )
        if organization.platform_url != platform_url.rstrip("/"):
            raise InputError(
                f"{organization} exists already, with {organization.platform_url or 'the embedded platform'}; "
                "an organization does not change its platform."
            )
        user = organization.users.filter(email__iexact=email).first()
        user = user or OrganizationUser(organization=organization, email=email.strip().lower())
        new_organization_secret = _renew(
            organization, organization_secret, generate_organization_secret, is_rotating=is_rotating
        )
        new_user_secret = _renew(user, user_secret, generate_user_secret, is_rotating=is_rotating)
        if is_sandbox:
            open_sandbox(organization)
    return Account(user, new_organization_secret, new_user_secret)


def open_sandbox(organization: Organization) -> None:
    """Let an organization reach the sandbox: endpoint overrides and the sandbox's OAuth client, as data."""
    organization.endpoint_overrides = organization.endpoint_overrides | SANDBOX_ENDPOINT_OVERRIDES
    organization.save(update_fields=["endpoint_overrides"])
    for element in Element.objects.filter(key__in=SANDBOX_ENDPOINT_OVERRIDES):
        app = OAuthApp.objects.filter(organization=organization, element=element).first()
        if app is None:
            app = OAuthApp(organization=organization, element=element, client_id=SANDBOX_CLIENT_ID)
            app.client_secret = SANDBOX_CLIENT_SECRET
            app.save()


def find_user(email: str, organization: str = "") -> OrganizationUser:
    """The user of this address, in the organization of this name. Raises InputError when none or several are."""
    users = OrganizationUser.objects.select_related("organization").filter(email__iexact=email)
    if organization:
        users = users.filter(organization__name=organization)
    found = list(users)
    if not found:
        where = f" in an organization {organization}" if organization else ""
        raise InputError(f"There is no user {email}{where}; make one with create_account.")
    if len(found) > 1:
        names = ", ".join(user.organization.name for user in found)
        raise InputError(
            f"{email} is in several organizations ({names}): name one, --organization."
        )
    return found[0]


def rotate_secret(owner: Organization | OrganizationUser) -> str:
    """A new secret; the old one is dead at once. Raises InputError for a remote platform's secrets."""
    organization = owner if isinstance(owner, Organization) else owner.organization
    if organization.is_remote:
        raise InputError(
            f"The secrets of {organization} are the remote platform's; enter new ones instead."
        )
    is_organization = isinstance(owner, Organization)
    secret = generate_organization_secret() if is_organization else generate_user_secret()
    owner.secret = secret
    owner.save()
    return secret


def enter_secret(owner: Organization | OrganizationUser, secret: str) -> None:
    """Keep a secret that a remote platform gave out. Raises InputError when it cannot be one."""
    owner.secret = check_secret(owner, secret)
    owner.save()


def check_secret(owner: Organization | OrganizationUser, secret: str) -> str:
    """The secret as it would be kept. Raises InputError when it cannot be one, or is another's."""
    secret = secret.strip()
    if (
        not secret
        or "," in secret
        or " " in secret
        or not (secret.isascii() and secret.isprintable())
    ):
        raise InputError("A platform secret is one word of visible characters, without a comma.")
    others = type(owner)._default_manager.filter(secret_digest__in=crypto.digests(secret))
    if others.exclude(pk=owner.pk).exists():
        raise InputError(f"This secret belongs to another {owner._meta.verbose_name} already.")
    return secret


def _renew(
    owner: Organization | OrganizationUser,
    given: str,
    generate: Callable[[], str],
    *,
    is_rotating: bool,
) -> str | None:
    """Keep the given secret, or generate one where there is none or it is being rotated."""
    if given:
        enter_secret(owner, given)
        return None
    generated = generate() if is_rotating or not owner.secret_digest else None
    if generated:
        owner.secret = generated
    owner.save()
    return generated


def _validate(
    organization_name: str,
    email: str,
    platform_url: str,
    organization_secret: str,
    user_secret: str,
) -> None:
    if not organization_name.strip() or len(organization_name) > 200:
        raise InputError("An organization needs a name of at most 200 characters.")
    try:
        validate_email(email)
    except ValidationError:
        raise InputError("The user needs an e-mail address, for example ada@example.com.") from None
    if not platform_url:
        if organization_secret or user_secret:
            raise InputError("Secrets are given for a remote platform only: name its platform URL.")
        return
    try:
        URLValidator(schemes=["http", "https"])(platform_url)
    except ValidationError:
        raise InputError("The platform URL must begin with https:// and name a host.") from None
    if not (organization_secret and user_secret):
        raise InputError("A remote platform needs both secrets, the organization's and the user's.")
