"""Create an instance once per Idempotency-Key and once per authorization code, however often the request is sent."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from instances.crypto import sealing
from instances.deadlines import Deadline
from instances.errors import (
    IdempotencyKeyReusedError,
    InstancesError,
    OutcomeUnknownError,
    StateConflictError,
    StillRunningError,
)
from instances.models import Element, IdempotencyKey, Instance, OrganizationUser
from instances.models.idempotency_keys import LIFETIME, IdempotencyKeyQuerySet
from instances.platforms.base import code_in
from instances.provisioning.create import create, plan_body
from instances.provisioning.lifecycle.leases import deadline_of, renewed
from instances.provisioning.lifecycle.reconcile import is_stuck, reconcile_instance
from instances.provisioning.lifecycle.states import State
from instances.wire import InstanceBody

# A request renews its hold while it runs. Another one with the same key takes over this long after the last renewal.
HOLD = timedelta(seconds=6)
# No header can contain a line end, so no Idempotency-Key equals the key of a code.
_CODE_PREFIX = "providerData.code\n"
_STILL_RUNNING = (
    "The first request with this Idempotency-Key is still in progress. Try again in a few seconds."
)


def create_instance_once(
    organization_user: OrganizationUser,
    body: InstanceBody,
    *,
    key: str,
    body_text: str,
    actor: str,
    element: Element | None = None,
) -> Instance:
    """Create an instance, or return the one that the same request created before.

    key: the Idempotency-Key, or empty. A request is the same if it has the same body and the same key or code
    (contract 13.8); this is remembered for 24 hours. A rejected request may be sent again. A create whose response was
    lost is reconciled first. The keys of a request whose process ended are taken over.

    Raises IdempotencyKeyReusedError, StillRunningError, and what plan_body() and create() raise.
    """
    claims = _Claims(organization_user, body_text)
    code = code_in(body.provider_data)
    with claims.forgotten_if_refused():
        earlier = claims.claim(key) if key else None
        if earlier and not claims.is_same_body(earlier):
            raise IdempotencyKeyReusedError(
                "This Idempotency-Key was already used with a different body. Use a new key for a new instance."
            )
        if code and not earlier:
            # With another body, it is for the provider to refuse the used code.
            earlier = claims.claim(f"{_CODE_PREFIX}{code}")
            earlier = earlier if earlier and claims.is_same_body(earlier) else None
        if earlier:
            instance = _repeat(earlier, claims, actor=actor)
            claims.remember(instance)
            return instance
        plan = plan_body(organization_user, body, element=element)
        with claims.renewed() as deadline:
            on_insert = claims.remember if claims.count else None
            created = create(plan, actor=actor, on_insert=on_insert, deadline=deadline)
        return created.require_created()


@dataclass
class _Claims:
    """The keys that one request holds while it creates its instance."""

    organization_user: OrganizationUser
    body_text: str = field(repr=False)
    holder: UUID = field(default_factory=uuid4)
    count: int = 0

    @property
    def keys(self) -> IdempotencyKeyQuerySet:
        return IdempotencyKey.objects.filter(organization_user=self.organization_user)

    @property
    def held(self) -> IdempotencyKeyQuerySet:
        return self.keys.held_by(self.holder)

    @cached_property
    def _body_digests(self) -> list[str]:
        return [*sealing.digests(self.body_text)]

    def is_same_body(self, record: IdempotencyKey) -> bool:
        return record.body_digest in self._body_digests

    def claim(self, key: str) -> IdempotencyKey | None:
        """Hold a key for this request. Returns the record of an earlier request with it, if there is one.

        Raises StillRunningError if the same request is in progress and has not stored its instance yet.
        """
        # The database's time, so that a process with a wrong clock does not expire keys of the others.
        now = Now()
        self.keys.with_key(key).filter(created_at__lt=now - LIFETIME).delete()
        new = IdempotencyKey(
            organization_user=self.organization_user,
            key_digest=sealing.digest(key),
            body_digest=sealing.digest(self.body_text),
            digest_key_id=sealing.first_key_id(),
            created_at=now,
            holder=self.holder,
            held_until=now + HOLD,
        )
        record = _insert_or_find(new, key)
        # Without an instance, the earlier request has sent nothing.
        if record is new or (record.instance is None and self.take_over(record)):
            self.count += record is new
            return None
        if record.instance is None and self.is_same_body(record):
            raise StillRunningError(_STILL_RUNNING)
        return record

    def take_over(self, record: IdempotencyKey) -> bool:
        """Hold the key of a request whose process has ended. False if it has not, or another request was faster."""
        lost = self.keys.lost(at=Now()).filter(pk=record.pk, instance=record.instance)
        own = {"holder": self.holder, "held_until": Now() + HOLD}
        if record.instance is None:
            own["body_digest"] = sealing.digest(self.body_text, key_id=record.digest_key_id)
        is_mine = lost.update(**own) == 1
        self.count += is_mine
        return is_mine

    def remember(self, instance: Instance) -> None:
        """Store the instance for every key that this request holds.

        Raises StillRunningError if another request has taken one over.
        """
        if self.count and self.held.update(instance=instance) != self.count:
            raise StillRunningError(
                "Another request with this Idempotency-Key took over, and this one sent nothing."
            )

    @contextmanager
    def renewed(self) -> Iterator[Deadline | None]:
        """Renew the hold for a block. Gives the deadline for what is sent in it; None without a key."""
        if not self.count:
            yield None
            return
        deadline = deadline_of(HOLD)
        with renewed(self.held, "held_until", HOLD, deadline, count=self.count):
            yield deadline

    @contextmanager
    def forgotten_if_refused(self) -> Iterator[None]:
        """Forget the keys if the block raises, unless the instance may exist."""
        try:
            yield
        except OutcomeUnknownError:
            raise
        except InstancesError:
            if self.count:
                self.held.filter(instance=None).delete()
            raise


def _insert_or_find(new: IdempotencyKey, key: str) -> IdempotencyKey:
    """Insert the new row, or return the existing one under any of ENCRYPTION_KEYS, with its instance.

    During a key rotation some processes digest with the old first key and some with the new one. No constraint can
    tell that two such digests are of the same key, so each process locks the user's row while it looks and inserts.
    """
    user_id = new.organization_user_id
    # The instance is read with it: afterwards it may be gone, because it was refused.
    keys = IdempotencyKey.objects.select_related("instance").order_by("pk")
    there = keys.filter(organization_user=user_id).with_key(key)
    while True:
        with transaction.atomic():
            if len(sealing.encryption_keys()) > 1:
                OrganizationUser.objects.select_for_update(no_key=True).get(pk=user_id)
            if found := there.first():
                return found
            # One that is inserted at the same time is found next, unless its request was refused by then.
            with suppress(IntegrityError), transaction.atomic():
                new.save(force_insert=True)
                return new


def _repeat(record: IdempotencyKey, claims: _Claims, *, actor: str) -> Instance:
    """Return the instance of an earlier request, and finish what its process has left.

    Raises StillRunningError, StateConflictError, and what reconcile_instance() raises.
    """
    instance = record.instance
    if instance is None:
        raise StillRunningError(_STILL_RUNNING)
    if _is_left_by(record, instance) and claims.take_over(record):
        with claims.renewed() as deadline:
            return reconcile_instance(instance, actor=actor, is_abandoned=True, deadline=deadline)
    if instance.state == State.UNKNOWN or is_stuck(instance):
        return reconcile_instance(instance, actor=actor)
    if instance.state in {State.DRAFT, State.PROVISIONING}:
        raise StillRunningError(_STILL_RUNNING)
    if not instance.has_token:
        raise StateConflictError(
            f"{instance.label}, created with this Idempotency-Key, is not connected: {instance.cause_message}"
        )
    return instance


def _is_left_by(record: IdempotencyKey, instance: Instance) -> bool:
    """Whether the request that held the key is the one that was provisioning; take_over() tells whether it ended."""
    if instance.state != State.PROVISIONING or record.held_until is None:
        return False
    return instance.state_changed_at <= record.held_until
