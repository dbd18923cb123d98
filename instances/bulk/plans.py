"""Plan the instances of a job's rows: the same for the dry run and for the job itself."""

from typing import NamedTuple

from instances.bulk.rows import INSTANCE_DELETED
from instances.errors import InputError
from instances.models import BulkRow, Element, OrganizationUser
from instances.provisioning.create import element_of, parse_body, plan_body
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


def identity_of(plan: ConnectionPlan) -> Identity:
    """Return the identity of the instance that is planned."""
    return Identity(plan.element.pk, plan.name)
