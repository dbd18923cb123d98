"""Store the instances of claimed rows, before anything is sent for them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import transaction

from instances.bulk.plans import Identity, RowPlanner, duplication, identity_of
from instances.bulk.rows import MAX_CRASHES, Outcome, end_row, hold_rows
from instances.bulk.running.work import Result, Run, Work
from instances.causes import Cause
from instances.deadlines import Deadline
from instances.errors import InputError, InstancesError
from instances.models import BulkRow, Instance
from instances.provisioning.create import NewCreate, insert_creates
from instances.provisioning.lifecycle.pacing import Place, place_of
from instances.provisioning.lifecycle.states import State, insert_in_state
from instances.provisioning.plan import ConnectionPlan

_WORKER_LOST = f"The worker crashed {MAX_CRASHES} times on this row, so it was skipped. Check its instance, then retry the row."


@dataclass(slots=True)
class _Batch:
    """What is stored for claimed rows, in one transaction."""

    # Instances that are to be created at their platform.
    creates: dict[BulkRow, NewCreate] = field(default_factory=dict)
    # Instances that wait for an authorization.
    drafts: dict[BulkRow, Instance] = field(default_factory=dict)
    # Rows that are skipped, with the instance that already exists; None if another row of the file creates it.
    existing: dict[BulkRow, Instance | None] = field(default_factory=dict)
    provider_data: dict[BulkRow, dict[str, str]] = field(default_factory=dict)
    refused: dict[BulkRow, InstancesError] = field(default_factory=dict)

    @property
    def new(self) -> dict[BulkRow, Instance]:
        return {row: create.instance for row, create in self.creates.items()} | self.drafts


class Inserter:
    """Stores the instances of a run's rows, many in one transaction or one alone."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._job = run.job
        self._planner = RowPlanner(run.job.organization_user)

    def insert(self, rows: Sequence[BulkRow], *, deadline: Deadline) -> list[Work | Result]:
        """Store an instance for each row that has none; all or none of them.

        Returns results of the rows that have ended with that, and work of the others.

        Raises StateConflictError if another process has taken over one of the rows.
        """
        lost = [row for row in rows if row.crashes >= MAX_CRASHES]
        fresh = [row for row in rows if row.instance_id is None and row not in lost]
        batch = self._plan(fresh)
        self._write(batch)
        for row in lost:
            end_row(row, Outcome.FAILED, _WORKER_LOST, cause=Cause.UNEXPECTED)
        for row in batch.existing:
            end_row(row, Outcome.SKIPPED)
        connected = [row for row, create in batch.creates.items() if create.is_connected]
        for row in connected:
            end_row(row, Outcome.SUCCEEDED)
        results = [Result(row) for row in (*lost, *batch.existing, *connected)]
        results += [self._run.refuse(row, error) for row, error in batch.refused.items()]
        ended = {result.row for result in results}
        left = [row for row in rows if row not in ended]
        places = self._places_of(left, batch)
        work = [Work(row, deadline, batch.creates.get(row), place=places.get(row)) for row in left]
        return [*results, *work]

    def _places_of(self, rows: Sequence[BulkRow], batch: _Batch) -> dict[BulkRow, Place]:
        """Return where the requests for each row's instance go."""
        places = {row: place_of(create.instance) for row, create in batch.creates.items()}
        pks = [row.instance_id for row in rows if row not in places and row.instance_id]
        if not pks:
            return places
        stored = Instance.objects.only("element_id", "secret_hosts").in_bulk(pks)
        for row in rows:
            if row not in places and (instance := stored.get(row.instance_id or 0)):
                instance.organization_user = self._job.organization_user
                places[row] = place_of(instance)
        return places

    def _plan(self, rows: Sequence[BulkRow]) -> _Batch:
        batch, plans = _Batch(), dict[BulkRow, ConnectionPlan]()
        for row in rows:
            try:
                plans[row] = self._planner.plan(row)
            except InstancesError as error:
                batch.refused[row] = error
        there = self._existing(plans.values())
        for row, plan in plans.items():
            identity = identity_of(plan)
            why = "" if self._job.is_allowing_duplicates else duplication(row, identity, there)
            if why and self._job.is_skipping_existing:
                batch.existing[row] = there.get(identity)
                continue
            if why:
                batch.refused[row] = InputError(why)
                continue
            try:
                prepared = self._planner.prepare(plan, actor=self._job.actor)
            except InstancesError as error:
                batch.refused[row] = error
                continue
            if isinstance(prepared, NewCreate):
                batch.creates[row] = prepared
                instance = prepared.instance
            else:
                batch.drafts[row] = instance = prepared
            batch.provider_data[row] = dict(plan.provider_data)
            there[identity] = instance
        return batch

    def _existing(self, plans: Collection[ConnectionPlan]) -> dict[Identity, Instance]:
        """Return the instances that exist already, in any state, unless duplicates are allowed."""
        if self._job.is_allowing_duplicates:
            return {}
        user, names = self._job.organization_user, [plan.name for plan in plans]
        there = Instance.objects.filter(organization_user=user, name__in=names)
        return {
            Identity(instance.element_id, instance.name): instance
            for instance in there.order_by("-pk")
        }

    def _write(self, batch: _Batch) -> None:
        new = batch.new
        rows = batch.existing | new
        if not rows:
            return
        actor = self._job.actor
        with _transaction_of(rows):
            insert_creates([*batch.creates.values()], actor=actor)
            if batch.drafts:
                insert_in_state([*batch.drafts.values()], State.DRAFT, actor=actor, why="Created.")
            for row, instance in rows.items():
                row.instance, row.is_drafted = instance, row in new
                # All that is needed again, if provisioning has to be retried.
                provider_data = batch.provider_data.get(row)
                row.body = {"providerData": provider_data} if provider_data else {}
            hold_rows(rows, holder=self._run.holder)


@contextmanager
def _transaction_of(rows: Collection[BulkRow]) -> Iterator[None]:
    """Run a transaction that also restores the rows in memory if it is rolled back."""
    before = [(row, row.instance, row.body, row.is_drafted) for row in rows]
    try:
        with transaction.atomic():
            yield
    except BaseException:
        for row, instance, body, is_drafted in before:
            row.instance, row.body, row.is_drafted = instance, body, is_drafted
        raise
