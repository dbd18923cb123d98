"""What a caller may see: elements, instances and Element tokens (contract 2.2)."""

from django.db.models import FETCH_PEERS, BigIntegerField, Q
from django.http import HttpRequest

from instances.api.authentication import Caller, optional_caller, require_instance
from instances.api.errors import NotFoundError
from instances.catalogue.configuration_keys import MASK
from instances.models import Element, Instance, OrganizationUser
from instances.models.elements import ElementQuerySet
from instances.models.instance_querysets import InstanceQuerySet
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.access.tokens import reveal_token
from instances.provisioning.elements import find_element
from instances.queries.prepared import Param, PreparedQuery

# The instances that the API shows: those that have an Element token.
VISIBLE = Q(token_digest__isnull=False) & ~Q(state=Instance.State.DELETING)


def visible_elements(request: HttpRequest) -> ElementQuerySet:
    """Select the public catalogue; for authenticated callers the operator's own elements, too.

    Without those that are offered to other organizations alone.
    """
    # Parsed definitions stay in memory; those that are not yet there are read at once, in one query.
    elements = Element.objects.active().defer("definition").fetch_mode(FETCH_PEERS)
    caller = optional_caller(request)
    if caller is None:
        return elements.public().offered_to([])
    return elements.offered_to([caller.organization_user.organization_id])


def get_element(request: HttpRequest, key_or_id: str) -> Element:
    """Get a visible element. Raises UnknownElementError, NotFoundError."""
    element = find_element(key_or_id)
    if not visible_elements(request).filter(pk=element.pk).exists():
        raise NotFoundError(f"No element found with key or ID {key_or_id}")
    return element


def visible_instances(user: OrganizationUser) -> InstanceQuerySet:
    """Select the user's instances that the API shows, as their documents need."""
    # Through the user, so that neither it nor its organization is read again.
    return _with_documents(user.instances.filter(VISIBLE))


def _with_documents(rows: InstanceQuerySet) -> InstanceQuerySet:
    # Elements keep their parsed definition in memory.
    return rows.select_related("element").defer("element__definition").with_tag_names()


def _visible_by(**id_of: Param) -> PreparedQuery[Instance]:
    rows = Instance.objects.filter(VISIBLE, organization_user=Param("user"), **id_of)
    return PreparedQuery(_with_documents(rows).order_by())


_BY_ID = _visible_by(pk=Param("id"))
_BY_REMOTE_ID = _visible_by(remote_id=Param("id"))


def get_instance(
    user: OrganizationUser, instance_id: int, *, element: Element | None = None
) -> Instance:
    """Get a visible instance by the id that clients know.

    Raises NotFoundError, also if it is an instance of another element.
    """
    statement = _BY_REMOTE_ID if user.organization.is_remote else _BY_ID
    is_id = instance_id <= BigIntegerField.MAX_BIGINT
    instance = statement.first(user=user.pk, id=instance_id) if is_id else None
    if instance is None or (element and element.pk != instance.element_id):
        raise _no_instance(instance_id)
    instance.organization_user = user
    return instance


def own_instance(request: HttpRequest) -> Instance:
    """Get the Element token's instance, with everything its document needs.

    Raises NotFoundError.
    """
    instance = require_instance(request)
    return as_stored(instance.organization_user, instance)


def as_stored(user: OrganizationUser, instance: Instance) -> Instance:
    """Reload the instance with concurrent changes.

    Raises NotFoundError if it was deleted.
    """
    current = visible_instances(user).filter(pk=instance.pk).first()
    if current is None:
        raise _no_instance(instance.remote_id if user.organization.is_remote else instance.pk)
    return current


def shown_token(caller: Caller, instance: Instance, *, is_listed: bool = False) -> str:
    """Return the Element token as the caller may see it, or else the mask.

    A program sees it, since it has the secrets anyway. A person sees it with the permission reveal_token, for one
    instance at a time, and this is recorded.
    """
    if not instance.is_readable:
        return MASK
    if caller.user is None:
        token: str = instance.token.reveal()
        return token
    if is_listed or not is_permitted(caller.user, instance, InstancePermission.REVEAL):
        return MASK
    return reveal_token(instance, user=caller.user)


def _no_instance(instance_id: object) -> NotFoundError:
    return NotFoundError(f"No element instance found with ID {instance_id}")
