"""Decide who may do what to which instance.

A group of Django says what a user may do; the user's own organization users and memberships say where. Pages, admin and
provisioning all ask here, so that no entrance has rules of its own.
"""

from enum import StrEnum

from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db.models import Q, QuerySet

from instances.errors import PermissionRefusedError
from instances.models import Instance, Membership, Organization, OrganizationUser

OPERATOR, STAFF, VIEWER = "operator", "staff", "viewer"
_VIEWER = {"view_instance", "view_interaction", "view_element"}
_STAFF = _VIEWER | {"add_instance", "change_instance", "delete_instance"}
_OPERATOR = _STAFF | {
    "view_authorization",
    "view_authorizationlink",
    "view_organization",
    "view_organizationuser",
    "change_organizationuser",
    "view_oauthapp",
    "add_oauthapp",
    "change_oauthapp",
    "view_bulkjob",
    "add_bulkjob",
    "change_bulkjob",
    "view_user",
}
# No role allows revealing Element tokens: reveal_token is granted to individual users.
GROUPS = {OPERATOR: _OPERATOR, STAFF: _STAFF, VIEWER: _VIEWER}


class InstancePermission(StrEnum):
    """What a user may do to an instance, as the code name of Django's permission."""

    VIEW = "view_instance"
    CHANGE = "change_instance"
    DELETE = "delete_instance"
    REVEAL = "reveal_token"


def is_permitted(user: User | AnonymousUser, instance: Instance, verb: InstancePermission) -> bool:
    if not user.has_perm(f"instances.{verb}"):
        return False
    rows = Instance.objects.filter(pk=instance.pk)
    within_reach = rows.visible_to if verb == InstancePermission.VIEW else rows.operated_by
    return within_reach(user).exists()


def require_permission(
    user: User | AnonymousUser, instance: Instance, verb: InstancePermission
) -> None:
    """Check that the user may do this to the instance.

    Raises PermissionRefusedError.
    """
    if not is_permitted(user, instance, verb):
        raise PermissionRefusedError(
            f"You do not have permission to do this to {instance.label}. Ask an administrator for it."
        )


def visible_users(user: User | AnonymousUser) -> QuerySet[User]:
    """Return the users that a user may see; a superuser sees all.

    These are the user and everyone who belongs to an organization in which the user has a role.
    """
    if user.is_superuser:
        return User.objects.all()
    organizations = Organization.objects.visible_to(user)
    members = Membership.objects.filter(organization__in=organizations).values("user")
    tied = OrganizationUser.objects.filter(organization__in=organizations, user__isnull=False)
    return User.objects.filter(Q(pk=user.pk) | Q(pk__in=members) | Q(pk__in=tied.values("user")))


def create_groups() -> None:
    """Create the missing groups; existing ones keep what an administrator changed."""
    for name, codenames in GROUPS.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            group.permissions.set(Permission.objects.filter(codename__in=codenames))
