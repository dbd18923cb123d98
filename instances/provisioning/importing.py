"""Import instances from a remote platform, with their ids and Element tokens."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from instances.errors import IdentityConflictError, InputError, InstancesError, UnknownElementError
from instances.models import Instance, OrganizationUser
from instances.platforms.base import ListedInstance, UnusableListing
from instances.platforms.registry import platform_for
from instances.provisioning.create import MAX_NAME_CHARACTERS, new_instance, plan_instance
from instances.provisioning.elements import find_element
from instances.provisioning.lifecycle.identities import Identity, owned_by_others
from instances.provisioning.lifecycle.states import State, insert_in_state, move_instance
from instances.redaction import storable

_OUR_TAG = "im-"
_CONFLICT = "the platform lists it with %s. Compare both instances with the platform, and delete the one that is wrong here."


@dataclass(frozen=True, slots=True)
class ImportedInstance:
    """The outcome of importing one instance.

    remote_id: None if the platform's list entry is unusable. instance: None if it was not imported; error says why.
    """

    name: str
    remote_id: int | None
    instance: Instance | None = None
    is_new: bool = False
    error: str = ""


def import_instances(user: OrganizationUser, *, actor: str) -> Iterator[ImportedInstance]:
    """Import every instance that the user has on its remote platform.

    Instances that exist here stay as they are. Secrets are not imported, since the platform masks them.

    Raises InputError if the organization provisions on this program, PlatformError.
    """
    organization = user.organization
    if not organization.is_remote:
        raise InputError(
            f"{organization} provisions on this program, so there is no remote platform to import from."
        )
    for listed in platform_for(organization).list_instances(user, actor=actor):
        if isinstance(listed, UnusableListing):
            yield ImportedInstance(listed.name, None, error=listed.error)
        else:
            yield _import(user, listed, actor=actor)


def _import(user: OrganizationUser, listed: ListedInstance, *, actor: str) -> ImportedInstance:
    remote_id = listed.instance.remote_id
    name = storable(listed.name)[:MAX_NAME_CHARACTERS]
    if here := _instance_here(user, listed):
        return ImportedInstance(name, remote_id, here)
    try:
        instance = _adopt(user, listed, actor=actor)
    except UnknownElementError:
        error = (
            f"{name} ({remote_id}): the element {listed.element} is not in the catalogue. Load its file with "
            "sync_elements and import again."
        )
        return ImportedInstance(name, remote_id, error=error)
    except InstancesError as refusal:
        return ImportedInstance(name, remote_id, error=f"{name} ({remote_id}): {refusal}")
    except IntegrityError:
        # Another process inserted it first.
        here = _instance_here(user, listed)
        conflict = _CONFLICT % "an id or Element token that belongs to another instance here"
        error = "" if here else f"{name} ({remote_id}): {conflict}"
        return ImportedInstance(name, remote_id, here, error=error)
    return ImportedInstance(name, remote_id, instance, is_new=True)


def _instance_here(user: OrganizationUser, listed: ListedInstance) -> Instance | None:
    """Find the instance by its id, or by the tag of a create whose response was lost."""
    mine = Instance.objects.filter(organization_user=user)
    is_known = Q(remote_id=listed.instance.remote_id) | Q(uid__in=list(_uids_in(listed.tags)))
    return mine.filter(is_known).first()


def _uids_in(tags: Iterable[str]) -> Iterator[UUID]:
    for tag in tags:
        with suppress(ValueError):
            yield UUID(tag.removeprefix(_OUR_TAG))


def _adopt(user: OrganizationUser, listed: ListedInstance, *, actor: str) -> Instance:
    plan = plan_instance(
        user,
        find_element(listed.element),
        name=listed.name,
        tags=[tag for tag in listed.tags if not tag.startswith(_OUR_TAG)],
        authentication_type=listed.authentication_type or None,
        configuration=listed.configuration,
    )
    instance = new_instance(plan, is_incomplete=True)
    given = listed.instance
    if given.remote_id is not None:
        identity = Identity(None, user.organization, given.remote_id, given.token)
        [owned] = owned_by_others([identity])
        if owned:
            raise IdentityConflictError(_CONFLICT % owned)
    instance.token = given.token
    instance.remote_id = given.remote_id
    instance.is_disabled = given.is_disabled
    with transaction.atomic():
        why = "Imported from the remote platform."
        insert_in_state([instance], State.CONNECTED, actor=actor, why=why)
        if not listed.instance.is_valid:
            move_instance(
                instance,
                State.NEEDS_REAUTHORIZATION,
                expect={State.CONNECTED},
                actor=actor,
                why="The remote platform reports that it does not work.",
            )
    return instance
