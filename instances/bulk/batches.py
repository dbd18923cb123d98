"""The fast path of a bulk job: draft and store many rows at once.

Each step is one transaction for all rows. Rows that need more than one create are processed individually (rows.py).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.db import transaction

from instances.bulk.rows import (
    MAX_ATTEMPTS,
    Outcome,
    end_or_put_off_row,
    end_row,
    existing_instance,
    hold_rows,
    store_rows,
)
from instances.deadlines import Deadline
from instances.errors import InstancesError
from instances.models import BulkJob, BulkRow, Element, Instance, Interaction
from instances.platforms.base import PlatformRequest
from instances.provisioning.create import element_of, new_instance, parse_body, plan_body
from instances.provisioning.lifecycle.provision import CreateResult, without_conflicts
from instances.provisioning.lifecycle.states import Move, State, insert_in_state, move_instances
from instances.provisioning.platform_requests import create_request
from instances.wire import InstanceBody


@dataclass(frozen=True, slots=True)
class Work:
    """A row for a thread to process. Nothing may be sent after send_before."""

    row: BulkRow
    send_before: Deadline


@dataclass(frozen=True, slots=True)
class Unconfirmed(Work):
    """One that may have been drafted: whether the database took it was not confirmed."""


@dataclass(frozen=True, slots=True)
class Sendable(Work):
    """A row on the fast path: its draft is stored, and only has to be sent."""

    instance: Instance
    request: PlatformRequest = field(repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """A processed row, with what is stored in the same transaction.

    creation: the result of sending its instance. move: the state change of an instance that was not sent.
    """

    row: BulkRow
    creation: CreateResult | None = field(default=None, repr=False)
    move: Move | None = None
    interactions: Sequence[Interaction] = field(default=(), repr=False)


class Drafting:
    """Drafts the instances of a job's rows for the process that claimed them."""

    def __init__(self, job: BulkJob, holder: UUID) -> None:
        self._job = job
        self._user = job.organization_user
        self._holder = holder
        self._elements: dict[str, Element] = {}

    def draft_rows(self, rows: Sequence[BulkRow], *, send_before: Deadline) -> list[Work | Result]:
        """Store an instance for each row on the fast path, before anything is sent.

        Its state is provisioning.

        Rows whose instance already exists are skipped, if the job does so. Other rows are returned unchanged as Work.
        """
        plans = {row: plan for row in rows if (plan := self._plan(row))}
        there = self._existing(plans.values())
        skipped = {row for row, plan in plans.items() if plan.identity in there}
        found = {row: there[plans.pop(row).identity] for row in skipped}
        if self._job.is_skipping_existing:
            # Of duplicates within the file, only the first is drafted now; the others find it when they are processed.
            firsts = {plan.identity: row for row, plan in reversed(plans.items())}
            plans = {row: plans[row] for row in firsts.values()}
        self._write(found, {row: plan.instance for row, plan in plans.items()})
        for row in skipped:
            end_row(row, Outcome.SKIPPED)
        others = [row for row in rows if row not in skipped and row not in plans]
        return [
            *(Result(row) for row in skipped),
            *(plan.sendable(row, send_before) for row, plan in plans.items()),
            *(Work(row, send_before) for row in others),
        ]

    def draft_row(self, row: BulkRow, body: InstanceBody) -> bool:
        """Draft the instance of one row.

        Returns False if it already exists and the job skips those. Raises InstancesError.
        """
        element = self._element(row, body)
        with _transaction_of([row]):
            if self._job.is_skipping_existing:
                row.instance = existing_instance(self._user, element, body.name or "")
            if is_new := row.instance is None:
                instance = new_instance(plan_body(self._user, body, element=element))
                actor = self._job.actor
                insert_in_state([instance], State.DRAFT, actor=actor, why="Created.")
                row.instance = instance
            row.is_drafted = is_new
            row.body = {"providerData": body.provider_data} if body.provider_data else {}
            hold_rows([row], holder=self._holder)
        return is_new

    def _plan(self, row: BulkRow) -> "_Plan | None":
        """Plan what to insert and send for a row; None if it is not on the fast path."""
        if row.instance_id is not None or row.attempts > MAX_ATTEMPTS:
            return None
        try:
            body = parse_body(row.body.reveal())
            plan = plan_body(self._user, body, element=self._element(row, body))
            if plan.provider_data or plan.needs_code:
                return None
            instance = new_instance(plan)
            return _Plan(instance, create_request(instance, plan, actor=self._job.actor))
        except InstancesError:
            return None

    def _existing(self, plans: Collection["_Plan"]) -> dict[tuple[int, str], Instance]:
        if not self._job.is_skipping_existing:
            return {}
        names = [plan.instance.name for plan in plans]
        there = Instance.objects.filter(organization_user=self._user, name__in=names)
        return {(one.element_id, one.name): one for one in there.order_by("-pk")}

    def _write(self, found: dict[BulkRow, Instance], new: dict[BulkRow, Instance]) -> None:
        rows = found | new
        with _transaction_of(rows):
            insert_in_state(
                list(new.values()),
                State.PROVISIONING,
                actor=self._job.actor,
                why="Provisioning started.",
            )
            for row, instance in rows.items():
                row.instance, row.body, row.is_drafted = instance, {}, row in new
            hold_rows(rows, holder=self._holder)

    def _element(self, row: BulkRow, body: InstanceBody) -> Element:
        if row.element_key not in self._elements:
            self._elements[row.element_key] = element_of(body)
        return self._elements[row.element_key]


def store_results(results: Sequence[Result], *, holder: UUID, actor: str) -> list[BulkRow]:
    """Store results, each with its exchanges and its instance's state.

    Returns the rows that are finished.
    """
    interactions = [one for result in results for one in result.interactions]
    for interaction in interactions:
        # It has an id if an earlier attempt to store it was rolled back.
        interaction.pk = None
    with transaction.atomic():
        Interaction.objects.bulk_create(interactions)
        moves = [result.move for result in results if result.move]
        conflicts: dict[int, InstancesError] = {}
        for ended in without_conflicts([result.creation for result in results if result.creation]):
            moves.append(ended.transition())
            if ended.error:
                conflicts[ended.instance.pk] = ended.error
        conflicts.update(move_instances(moves, expect={State.PROVISIONING}, actor=actor))
        for result in results:
            is_moved = result.creation or result.move
            if is_moved and (conflict := conflicts.get(result.row.instance_id or 0)):
                end_or_put_off_row(result.row, conflict)
        held = store_rows([result.row for result in results], holder=holder)
    return [one.row for one in results if one.row.pk in held and one.row.due_at is None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """An instance that is not stored yet, and the request that creates it."""

    instance: Instance
    request: PlatformRequest = field(repr=False)

    @property
    def identity(self) -> tuple[int, str]:
        """Element and name: two instances with the same ones are duplicates."""
        return self.instance.element_id, self.instance.name

    def sendable(self, row: BulkRow, send_before: Deadline) -> Sendable:
        """Build the work item.

        Call this after the instance is inserted, since it needs its id.
        """
        instance = self.instance
        request = replace(
            self.request, instance_id=instance.pk, label=instance.label, deadline=send_before
        )
        return Sendable(row, send_before, self.instance, request)


@contextmanager
def _transaction_of(rows: Collection[BulkRow]) -> Iterator[None]:
    """Run a transaction that also restores the rows in memory if it is rolled back."""
    before = [(row, row.instance, row.body) for row in rows]
    try:
        with transaction.atomic():
            yield
    except BaseException:
        for row, instance, body in before:
            row.instance, row.body = instance, body
        raise
