"""Plan the instances of a job's rows: the same for the dry run and for the job itself."""

from typing import NamedTuple

from instances.bulk.columns import ElementKeys
from instances.bulk.rows import INSTANCE_DELETED
from instances.errors import InputError, MissingConfigurationError
from instances.models import BulkRow, Element, Instance, OrganizationUser
from instances.provisioning.create import (
    NewCreate,
    element_of,
    new_create,
    new_instance,
    parse_body,
    plan_body,
)
from instances.provisioning.plan import ConnectionPlan


class Identity(NamedTuple):
    """What identifies an instance in a file: rows with the same one are duplicates."""

    element_id: int
    name: str


class RowPlanner:
    """Plans rows for an organization user, and looks up each of their elements once."""

    def __init__(self, user: OrganizationUser) -> None:
        self._user = user
        self._elements: dict[str, Element] = {}

    def plan(self, row: BulkRow) -> ConnectionPlan:
        """Plan the instance that a row asks for.

        Raises InputError, UnreadableSecretError.
        """
        if row.is_drafted and row.instance_id is None:
            # The body went to the instance.
            raise InputError(INSTANCE_DELETED)
        body = parse_body(row.body.reveal())
        if row.element_key not in self._elements:
            self._elements[row.element_key] = element_of(body)
        return plan_body(self._user, body, element=self._elements[row.element_key])


def prepare(plan: ConnectionPlan, *, actor: str) -> NewCreate | Instance:
    """Make the instance that is planned in memory: to be sent, or a draft that waits for an authorization.

    The dry run and the job both do it, so that the one refuses what the other refuses.

    Raises InputError, PlatformError. If keys are missing, unknown ones are named: one may be a typing error.
    """
    try:
        return new_instance(plan) if plan.needs_code else new_create(plan, actor=actor)
    except MissingConfigurationError as error:
        keys = ElementKeys(plan.element.parsed)
        unknown = keys.describe_unknown(plan.own_configuration)
        raise MissingConfigurationError(error.keys, hint=unknown) from None


def identity_of(plan: ConnectionPlan) -> Identity:
    """Return the identity of the instance that is planned."""
    return Identity(plan.element.pk, plan.name)
