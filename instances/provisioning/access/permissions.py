"""Who may do what to which instance: roles are Django's groups, their reach is organizations.

A group says which verbs an account may use; its own organization users and its memberships say where. Pages, admin
and verbs ask here, so that no entrance has a rule of its own.
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
# Nobody sees Element tokens by role alone: reveal_token is given to single accounts.
GROUPS = {OPERATOR: _OPERATOR, STAFF: _STAFF, VIEWER: _VIEWER}


class InstancePermission(StrEnum):
    """What is done to an instance; the value is the code name of Django's permission for it."""

    VIEW = "view_instance"
    CHANGE = "change_instance"
    DELETE = "delete_instance"
    REVEAL = "reveal_token"


def is_permitted(
    account: User | AnonymousUser, instance: Instance, verb: InstancePermission
) -> bool:
    if not account.has_perm(f"instances.{verb}"):
        return False
    rows = Instance.objects.filter(pk=instance.pk)
    within_reach = rows.visible_to if verb == InstancePermission.VIEW else rows.operated_by
    return within_reach(account).exists()


def require_permission(
    account: User | AnonymousUser, instance: Instance, verb: InstancePermission
) -> None:
    """Raises PermissionRefusedError."""
    if not is_permitted(account, instance, verb):
        raise PermissionRefusedError(
            f"Your account may not do this to {instance.label}. Ask an administrator for the permission."
        )


def visible_users(account: User | AnonymousUser) -> QuerySet[User]:
    """The account itself, and users tied to, or members of, organizations that it has a role in. A superuser sees all."""
    if account.is_superuser:
        return User.objects.all()
    organizations = Organization.objects.visible_to(account)
    members = Membership.objects.filter(organization__in=organizations).values("account")
    tied = OrganizationUser.objects.filter(organization__in=organizations, account__isnull=False)
    return User.objects.filter(
        Q(pk=account.pk) | Q(pk__in=members) | Q(pk__in=tied.values("account"))
    )


def create_groups() -> None:
    """Make the groups that are missing; what an administrator changed in one stays as it is."""
    for name, codenames in GROUPS.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            group.permissions.set(Permission.objects.filter(codename__in=codenames))
