"""Plan the instances of a job's rows: the same for the dry run and for the job itself."""

from collections.abc import Collection
from typing import NamedTuple

from django.db.models import Q

from instances.bulk.files.columns import ElementKeys
from instances.bulk.rows import INSTANCE_DELETED
from instances.errors import InputError, MissingConfigurationError
from instances.models import BulkJob, BulkRow, Element, Instance, OrganizationUser
from instances.platforms.registry import platform_for
from instances.provisioning.create import (
    NewCreate,
    element_of,
    new_create,
    new_instance,
    parse_body,
    plan_body,
)
from instances.provisioning.plan import ConnectionPlan

_EXISTS = "An instance with this name and element already exists."
_TWICE = "Duplicate: row"


class Identity(NamedTuple):
    """What identifies an instance in a file: rows with the same one are duplicates."""

    element_id: int
    name: str


class RowPlanner:
    """Plans rows for an organization user. Looks up each of their elements once, and reads the platform's secrets once."""

    def __init__(self, user: OrganizationUser) -> None:
        self._user = user
        self._platform = platform_for(user.organization)
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

    def prepare(self, plan: ConnectionPlan, *, actor: str) -> NewCreate | Instance:
        """Make the instance that is planned in memory: to be sent, or a draft that waits for an authorization.

        The dry run and the job both do it, so that the one refuses what the other refuses.

        Raises InputError, PlatformError. If keys are missing, unknown ones are named: one may be a typing error.
        """
        try:
            if plan.needs_code:
                return new_instance(plan)
            return new_create(plan, actor=actor, platform=self._platform)
        except MissingConfigurationError as error:
            keys = ElementKeys(plan.element.parsed)
            unknown = keys.describe_unknown(plan.own_configuration)
            raise MissingConfigurationError(error.keys, hint=unknown) from None


def duplication(row: BulkRow, identity: Identity, existing: Collection[Identity]) -> str:
    """Say what a row would be a duplicate of; empty if it is none. existing: what instances there are."""
    if row.duplicate_of:
        return f"{_TWICE} {row.duplicate_of} of this file has the same name and element."
    if identity in existing:
        return f"{_EXISTS} Skip existing instances, or allow duplicates."
    return ""


def has_refused_duplicates(job: BulkJob) -> bool:
    """Whether the dry run found rows that are refused as duplicates."""
    is_duplicate = Q(verdict__startswith=_TWICE) | Q(verdict__startswith=_EXISTS)
    return not job.is_allowing_duplicates and job.rows.filter(is_duplicate).exists()


def identity_of(plan: ConnectionPlan) -> Identity:
    """Return the identity of the instance that is planned."""
    return Identity(plan.element.pk, plan.name)
