"""One row of a bulk job: whether its instance is there already, and how it is brought to its end."""

from instances.errors import InputError, MissingCodeError
from instances.models import BulkRow, Element, Instance, OrganizationUser
from instances.provisioning.drafts import clean_name
from instances.provisioning.instances import provision_instance, reconcile_instance
from instances.provisioning.states import State, move_instance
from instances.wire import InstanceBody

Outcome = BulkRow.Outcome


def existing_instance(user: OrganizationUser, element: Element, name: str) -> Instance | None:
    """The user's instance of this element and name, in whatever state it is."""
    name = clean_name(name) or element.name
    there = Instance.objects.filter(organization_user=user, element=element, name=name)
    return there.order_by("pk").first()


def bring_to_its_end(row: BulkRow, body: InstanceBody, *, actor: str) -> str:
    """Do what the state of the row's instance asks for; the row's outcome. Raises InstancesError.

    body: what is left of it; the provider's data, if it brought any.
    """
    instance = row.instance
    if instance is None:
        raise InputError("Its instance was deleted in the meantime.")
    match instance.state:
        case State.CONNECTED:
            return Outcome.SUCCEEDED
        case State.AWAITING_AUTHORIZATION:
            return Outcome.AWAITING_AUTHORIZATION
        case State.DRAFT | State.FAILED:
            return _provision(instance, body, actor=actor)
        case State.PROVISIONING | State.UNKNOWN:
            reconcile_instance(instance, actor=actor, is_abandoned=True)
            return Outcome.SUCCEEDED
    raise InputError(f"{instance.label} is {instance.get_state_display()}: look at its page.")


def _provision(instance: Instance, body: InstanceBody, *, actor: str) -> str:
    try:
        provision_instance(instance, actor=actor, provider_data=body.provider_data)
    except MissingCodeError:
        move_instance(
            instance,
            State.AWAITING_AUTHORIZATION,
            expect={State.DRAFT, State.FAILED},
            actor=actor,
            why="Its account's holder has to allow access.",
        )
        return Outcome.AWAITING_AUTHORIZATION
    return Outcome.SUCCEEDED
