"""Create organizations and users, and manage their platform secrets."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.db import transaction

from instances.catalogue.sandbox import (
    SANDBOX_CLIENT_ID,
    SANDBOX_CLIENT_SECRET,
    SANDBOX_ENDPOINT_OVERRIDES,
)
from instances.crypto import sealing
from instances.errors import InputError
from instances.models import Element, OAuthApp, Organization, OrganizationUser
from instances.pasted import trimmed


@dataclass(frozen=True, slots=True)
class IssuedSecrets:
    """An organization user and the secrets just generated, which are shown once."""

    user: OrganizationUser
    organization_secret: str | None = field(repr=False)
    user_secret: str | None = field(repr=False)


def generate_organization_secret() -> str:
    """Return 32 random lower-case hex digits (contract 2.1)."""
    return secrets.token_hex(16)


def generate_user_secret() -> str:
    """Return 32 random bytes in base64 (contract 2.1)."""
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
) -> IssuedSecrets:
    """Create the organization and its user, or add what is missing; safe to run again.

    With platform_url, the secrets of the remote platform must be given. Otherwise secrets are generated if there are
    none, or if is_rotating.

    Raises InputError and changes nothing.
    """
    organization_name, email = trimmed(organization_name), trimmed(email)
    platform_url = trimmed(platform_url).rstrip("/")
    _validate(organization_name, email, platform_url, organization_secret, user_secret)
    with transaction.atomic():
        organization = Organization.objects.named(organization_name).first()
        organization = organization or Organization.objects.create(
            name=organization_name, platform_url=platform_url
        )
        if organization.platform_url != platform_url:
            raise InputError(
                f"{organization} already exists and uses {organization.platform_url or 'the embedded platform'}. "
                "The platform of an organization cannot be changed."
            )
        user = organization.users.filter(email__iexact=email).first()
        user = user or OrganizationUser(organization=organization, email=email.lower())
        new_organization_secret = _renew(
            organization, organization_secret, generate_organization_secret, is_rotating=is_rotating
        )
        new_user_secret = _renew(user, user_secret, generate_user_secret, is_rotating=is_rotating)
        if is_sandbox:
            open_sandbox(organization)
    return IssuedSecrets(user, new_organization_secret, new_user_secret)


def open_sandbox(organization: Organization) -> None:
    """Connect an organization to the sandbox, by endpoint overrides and OAuth apps."""
    organization.endpoint_overrides = organization.endpoint_overrides | SANDBOX_ENDPOINT_OVERRIDES
    organization.save(update_fields=["endpoint_overrides"])
    for element in Element.objects.filter(key__in=SANDBOX_ENDPOINT_OVERRIDES):
        app = OAuthApp.objects.filter(organization=organization, element=element).first()
        if app is None:
            app = OAuthApp(organization=organization, element=element, client_id=SANDBOX_CLIENT_ID)
            app.client_secret = SANDBOX_CLIENT_SECRET
            app.save()


def find_user(email: str, organization: str = "") -> OrganizationUser:
    """Return the user with this email address, in the organization with this name.

    Raises InputError if there is none, or more than one.
    """
    users = OrganizationUser.objects.select_related("organization")
    users = users.filter(email__iexact=trimmed(email))
    if organization:
        users = users.filter(organization__in=Organization.objects.named(organization))
    found = list(users)
    if not found:
        where = f" in the organization {organization}" if organization else ""
        raise InputError(f"There is no user {email}{where}. Create one with create_account.")
    if len(found) > 1:
        names = ", ".join(user.organization.name for user in found)
        raise InputError(
            f"{email} is in several organizations ({names}). Choose one with --organization."
        )
    return found[0]


def rotate_secret(owner: Organization | OrganizationUser) -> str:
    """Generate a new secret; the old one stops working immediately.

    Raises InputError for the secrets of a remote platform.
    """
    organization = owner if isinstance(owner, Organization) else owner.organization
    if organization.is_remote:
        raise InputError(
            f"The secrets of {organization} come from the remote platform. Enter new ones instead."
        )
    is_organization = isinstance(owner, Organization)
    secret = generate_organization_secret() if is_organization else generate_user_secret()
    owner.secret = secret
    owner.save()
    return secret


def enter_secret(owner: Organization | OrganizationUser, secret: str) -> None:
    """Store a secret that a remote platform issued.

    Raises InputError if it is not valid.
    """
    owner.secret = check_secret(owner, secret)
    owner.save()


def check_secret(owner: Organization | OrganizationUser, secret: str) -> str:
    """Return the secret as it would be stored.

    Raises InputError if it is not valid, or belongs to another owner.
    """
    secret = trimmed(secret)
    if (
        not secret
        or "," in secret
        or " " in secret
        or not (secret.isascii() and secret.isprintable())
    ):
        raise InputError("Enter a platform secret without spaces, commas or non-ASCII characters.")
    others = type(owner)._default_manager.filter(secret_digest__in=sealing.digests(secret))
    if others.exclude(pk=owner.pk).exists():
        raise InputError(f"This secret already belongs to another {owner._meta.verbose_name}.")
    return secret


def _renew(
    owner: Organization | OrganizationUser,
    given: str,
    generate: Callable[[], str],
    *,
    is_rotating: bool,
) -> str | None:
    """Store the given secret, or generate one if there is none or it is being rotated."""
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
        raise InputError("Enter an organization name of at most 200 characters.")
    try:
        validate_email(email)
    except ValidationError:
        raise InputError(
            "Enter an e-mail address for the user, for example ada@example.com."
        ) from None
    if not platform_url:
        if organization_secret or user_secret:
            raise InputError(
                "Secrets can only be given for a remote platform. Enter its platform URL."
            )
        return
    try:
        URLValidator(schemes=["http", "https"])(platform_url)
    except ValidationError:
        raise InputError(
            "The platform URL must begin with https:// or http:// and contain a host."
        ) from None
    if not (organization_secret and user_secret):
        raise InputError("A remote platform needs both secrets: the organization's and the user's.")
