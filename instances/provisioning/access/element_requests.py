"""Ask the operators of an organization to set up an element."""

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.translation import gettext as _

from instances.errors import InputError, PermissionRefusedError, RetiredElementError
from instances.models import Element, ElementRequest, OAuthApp, Organization, OrganizationUser

MAX_OPEN_REQUESTS = 20


def ready_elements(organizations: Iterable[Organization]) -> set[int]:
    """Return the ids of the elements that can be connected without an operator.

    A remote platform may have OAuth apps of its own.
    """
    organizations = list(organizations)
    apps = OAuthApp.objects.filter(
        Q(organization__in=organizations) | Q(shared_with__in=organizations)
    )
    with_app = set(apps.values_list("element", flat=True))
    is_remote = any(organization.is_remote for organization in organizations)
    return {
        element.pk
        for element in Element.objects.connectable()
        for way in element.parsed.connectable_ways
        if way.endpoints != "unknown"
        and (not way.requires_client or element.pk in with_app or is_remote)
    }


def request_element(element: Element, *, user: User) -> None:
    """Tell the operators of the user's organizations that the user wants to connect the element.

    Raises PermissionRefusedError, RetiredElementError, and InputError if too many of the user's requests are open.
    """
    owners = OrganizationUser.objects.operated_by(user)
    organizations = Organization.objects.filter(pk__in=owners.values("organization"))
    if not user.has_perm("instances.add_instance") or not organizations:
        raise PermissionRefusedError(
            _("You do not have permission to connect accounts, so you cannot request a service.")
        )
    if element.parsed.is_retired:
        raise RetiredElementError(element.name, element.parsed.retirement)
    if element.pk in ready_elements(organizations):
        raise InputError(_("%s can be connected already.") % element.name)
    if ElementRequest.objects.open().filter(requested_by=user).count() >= MAX_OPEN_REQUESTS:
        raise InputError(
            _("%d of your requests are open. Wait until an operator has answered some of them.")
            % MAX_OPEN_REQUESTS
        )
    for organization in organizations:
        ElementRequest.objects.get_or_create(
            organization=organization, element=element, defaults={"requested_by": user}
        )
