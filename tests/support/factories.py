"""Factories for rows that are valid by default, so that a test names only what it is about."""

import itertools
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from instances.models import (
    Element,
    Instance,
    Interaction,
    Membership,
    OAuthApp,
    Organization,
    OrganizationUser,
)
from instances.provisioning.access.organizations import (
    generate_organization_secret,
    generate_user_secret,
)
from instances.provisioning.create import create_draft

_numbers = itertools.count(1)

CUSTOM_CONFIGURATION = {
    "user.username": "user@sandbox.example",
    "user.password": "sandbox-password",
    "dynamics.tenant": "yourcompanyname.crm.dynamics.com",
    "document.tagging": "true",
}
KEY_DEFINITION: dict[str, Any] = {
    "key": "keyed",
    "id": 900001,
    "name": "Keyed",
    "hub": "crm",
    "description": "An element whose account is one key.",
    "authentication": [
        {
            "type": "apiKey",
            "fields": [
                {
                    "key": "api.key",
                    "label": "API key",
                    "type": "password",
                    "required": True,
                    "secret": True,
                },
                {"key": "site", "label": "Site", "type": "string", "required": True},
            ],
        }
    ],
}


def make_organization(**fields: Any) -> Organization:
    number = next(_numbers)
    organization = Organization(**{"name": f"Organization {number}"} | fields)
    if not organization.secret:
        organization.secret = generate_organization_secret()
    organization.save()
    return organization


def make_organization_user(**fields: Any) -> OrganizationUser:
    fields.setdefault("email", f"user{next(_numbers)}@example.com")
    if "organization" not in fields:
        fields["organization"] = make_organization()
    user = OrganizationUser(**fields)
    if not user.secret:
        user.secret = generate_user_secret()
    user.save()
    return user


def make_element(definition: dict[str, Any] | None = None, **fields: Any) -> Element:
    """An operator's own element, by default with KEY_DEFINITION."""
    definition = definition or KEY_DEFINITION
    columns = {name: definition[name] for name in ("id", "key", "name", "hub")}
    element, _ = Element.objects.update_or_create(
        key=definition["key"],
        defaults=columns | {"source": Element.Source.OWN, "definition": definition} | fields,
    )
    return element


def make_instance(**fields: Any) -> Instance:
    """A draft of the keyed element."""
    fields.setdefault("configuration", {"api.key": "k3y-of-the-account", "site": "acme"})
    if "organization_user" not in fields:
        fields["organization_user"] = make_organization_user()
    if "element" not in fields:
        fields["element"] = make_element()
    return create_draft(
        fields.pop("organization_user"), fields.pop("element"), actor="test", **fields
    )


def make_interaction(**fields: Any) -> Interaction:
    """A recorded exchange that succeeded."""
    return Interaction.objects.create(
        **{
            "subject": "somebody's account",
            "operation": "Exchange code",
            "direction": Interaction.Direction.OUT,
            "method": "POST",
            "url": "https://provider.example/token",
            "status": 200,
            "started_at": timezone.now(),
            "duration_ms": 7,
        }
        | fields
    )


def make_oauth_app(**fields: Any) -> OAuthApp:
    app = OAuthApp(**{"client_id": "client"} | fields)
    if not app.client_secret:
        app.client_secret = "client-secret-of-the-app"
    app.save()
    return app


def make_member(
    user: User, organization: Organization, role: str = Membership.Role.OPERATOR
) -> Membership:
    return Membership.objects.create(user=user, organization=organization, role=role)


def make_user(username: str = "ada", *, permissions: tuple[str, ...] = (), **fields: Any) -> User:
    """A staff user with these permissions (codenames of the instances app)."""
    from django.contrib.auth.models import Permission

    user = User.objects.create_user(
        username, f"{username}@example.com", "correct-horse", is_staff=True, **fields
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return User.objects.get(pk=user.pk)
