"""Create an instance once per Idempotency-Key, however often the request is sent."""

from contextlib import suppress

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from instances import crypto
from instances.errors import (
    IdempotencyKeyReusedError,
    InstancesError,
    OutcomeUnknownError,
    StateConflictError,
    StillRunningError,
)
from instances.models import Element, IdempotencyKey, Instance, OrganizationUser
from instances.models.idempotency_keys import LIFETIME
from instances.provisioning.create import create, plan_body
from instances.provisioning.lifecycle.reconcile import is_stuck, reconcile_instance
from instances.provisioning.lifecycle.schedule import STALE_AFTER
from instances.provisioning.lifecycle.states import State
from instances.wire import InstanceBody


def create_instance_once(
    organization_user: OrganizationUser,
    body: InstanceBody,
    *,
    key: str,
    body_text: str,
    actor: str,
    element: Element | None = None,
) -> Instance:
    """Create an instance, or return the one created by the same key and body.

    A key is kept for 24 hours.

    A rejected request may be sent again. A create whose response was lost is reconciled first.

    Raises IdempotencyKeyReusedError, StillRunningError, and what plan_body() and create() raise.
    """
    # The database's time, so that a process with a wrong clock does not expire keys of the others.
    now = Now()
    keys = IdempotencyKey.objects.filter(organization_user=organization_user).with_key(key)
    keys.filter(created_at__lt=now - LIFETIME).delete()
    # Without an instance by now, the process ended before it sent anything.
    keys.filter(instance=None, created_at__lt=now - STALE_AFTER).delete()
    new = IdempotencyKey(
        organization_user=organization_user,
        key_digest=crypto.digest(key),
        body_digest=crypto.digest(body_text),
        digest_key_id=crypto.first_key_id(),
        created_at=now,
    )
    record = _insert_or_find(new, key)
    if record is not new:
        return _repeat(record, body_text, actor=actor)

    # This request's own row: by now, another request may have one of the same key.
    own = IdempotencyKey.objects.filter(pk=record.pk)

    def remember(instance: Instance) -> None:
        if own.update(instance=instance) != 1:
            raise StillRunningError(
                "Another request with this Idempotency-Key took over, and this one sent nothing."
            )

    try:
        plan = plan_body(organization_user, body, element=element)
        return create(plan, actor=actor, on_insert=remember).require_created()
    except OutcomeUnknownError:
        raise
    except InstancesError:
        own.delete()
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
            if len(crypto.encryption_keys()) > 1:
                OrganizationUser.objects.select_for_update(no_key=True).get(pk=user_id)
            if found := there.first():
                return found
            # One that is inserted at the same time is found next, unless its request was refused by then.
            with suppress(IntegrityError), transaction.atomic():
                new.save(force_insert=True)
                return new


def _repeat(record: IdempotencyKey, body_text: str, *, actor: str) -> Instance:
    if record.body_digest not in crypto.digests(body_text):
        raise IdempotencyKeyReusedError(
            "This Idempotency-Key was already used with a different body. Use a new key for a new instance."
        )
    instance = record.instance
    if instance is None:
        raise StillRunningError(
            "The first request with this Idempotency-Key is still in progress. Try again in a few seconds."
        )
    if instance.state == State.UNKNOWN or is_stuck(instance):
        return reconcile_instance(instance, actor=actor)
    if instance.state in {State.DRAFT, State.PROVISIONING}:
        raise StillRunningError(
            "The first request with this Idempotency-Key is still in progress. Try again in a few seconds."
        )
    if not instance.has_token:
        raise StateConflictError(
            f"{instance.label}, created with this Idempotency-Key, is not connected: {instance.cause_message}"
        )
    return instance
