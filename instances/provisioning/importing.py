"""Instances that a remote platform has already, taken over with the id and Element token they have there."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from instances.errors import InputError, InstancesError, UnknownElementError
from instances.models import Instance, OrganizationUser
from instances.platforms.base import ListedInstance
from instances.platforms.registry import platform_for
from instances.provisioning.drafts import new_instance
from instances.provisioning.elements import find_element
from instances.provisioning.states import State, insert_in_state, move_instance

_OUR_TAG = "im-"


@dataclass(frozen=True, slots=True)
class ImportedInstance:
    """What became of one. instance: None where it could not be taken over, and error says why."""

    name: str
    remote_id: int
    instance: Instance | None = None
    is_new: bool = False
    error: str = ""


def import_instances(user: OrganizationUser, *, actor: str) -> Iterator[ImportedInstance]:
    """Take over all that the user has at its remote platform; what is here already stays as it is.

    Secrets stay where they are: the platform shows them masked. Raises InputError where the platform is this program,
    PlatformError.
    """
    organization = user.organization
    if not organization.is_remote:
        raise InputError(
            f"{organization} provisions here, so there is no other platform to import from."
        )
    for listed in platform_for(organization).list_instances(user, actor=actor):
        yield _import(user, listed, actor=actor)


def _import(user: OrganizationUser, listed: ListedInstance, *, actor: str) -> ImportedInstance:
    remote_id = listed.instance.remote_id or 0
    if here := _instance_here(user, listed):
        return ImportedInstance(listed.name, remote_id, here)
    try:
        instance = _adopt(user, listed, actor=actor)
    except UnknownElementError:
        error = (
            f"{listed.name} ({remote_id}): the element {listed.element} is not in the catalogue here. Load a file of "
            "it with sync_elements, and import again."
        )
        return ImportedInstance(listed.name, remote_id, error=error)
    except InstancesError as refusal:
        return ImportedInstance(
            listed.name, remote_id, error=f"{listed.name} ({remote_id}): {refusal}"
        )
    except IntegrityError:
        # Another import was quicker.
        return ImportedInstance(listed.name, remote_id, _instance_here(user, listed))
    return ImportedInstance(listed.name, remote_id, instance, is_new=True)


def _instance_here(user: OrganizationUser, listed: ListedInstance) -> Instance | None:
    """The instance that is known by this id, or that was made from here and whose answer was lost."""
    mine = Instance.objects.filter(organization_user=user)
    is_known = Q(remote_id=listed.instance.remote_id) | Q(uid__in=list(_uids_in(listed.tags)))
    return mine.filter(is_known).first()


def _uids_in(tags: Iterable[str]) -> Iterator[UUID]:
    for tag in tags:
        with suppress(ValueError):
            yield UUID(tag.removeprefix(_OUR_TAG))


def _adopt(user: OrganizationUser, listed: ListedInstance, *, actor: str) -> Instance:
    instance = new_instance(
        user,
        find_element(listed.element),
        name=listed.name,
        tags=[tag for tag in listed.tags if not tag.startswith(_OUR_TAG)],
        authentication_type=listed.authentication_type or None,
        configuration=listed.configuration,
        is_to_be_completed=True,
    )
    instance.token = listed.instance.token
    instance.remote_id = listed.instance.remote_id
    instance.is_disabled = listed.instance.is_disabled
    with transaction.atomic():
        why = "Imported from the remote platform."
        insert_in_state([instance], State.CONNECTED, actor=actor, why=why)
        if not listed.instance.is_valid:
            move_instance(
                instance,
                State.NEEDS_REAUTHORIZATION,
                expect={State.CONNECTED},
                actor=actor,
                why="The remote platform says that it does not work.",
            )
    return instance
