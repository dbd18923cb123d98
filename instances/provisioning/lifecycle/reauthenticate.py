"""Authenticate an instance again, keeping its id, Element token and history."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from instances.errors import MissingCodeError, OtherAccountError, StateConflictError
from instances.models import Instance
from instances.platforms.base import PlatformInstance, PlatformRequest, code_in
from instances.platforms.registry import platform_for
from instances.provisioning.hosts import moved_hosts, require_secrets_again
from instances.provisioning.lifecycle.changes import locked, merge_proved, save_changes
from instances.provisioning.lifecycle.describe import describe_instance
from instances.provisioning.lifecycle.provision import connected_columns, provision_as_planned
from instances.provisioning.lifecycle.states import CREATED, PROVISIONABLE, State, move_instance
from instances.provisioning.plan import ConnectionPlan, plan_changes, plan_of
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import require_right_clock
from instances.queries.outages import outlast_outage


def reauthenticate_instance(
    instance: Instance, *, actor: str, configuration: Mapping[str, Any]
) -> Instance:
    """Authenticate an instance again with a changed configuration.

    An error leaves the stored instance unchanged (contract 7.6). An instance that was never connected is provisioned
    instead.

    Raises InputError, PlatformError, StateConflictError, ClockSkewError.
    """
    return reauthenticate_as_planned(instance, plan_changes(instance, configuration), actor=actor)


def reauthenticate_as_planned(
    instance: Instance,
    plan: ConnectionPlan,
    *,
    actor: str,
    code_verifier: str = "",
    on_other_account: Callable[[PlatformInstance], None] | None = None,
) -> Instance:
    """Authenticate an instance again with planned changes, a new code, or both.

    on_other_account: called with the new tokens if they belong to another account at the provider than the stored ones.

    Raises OtherAccountError then, and what reauthenticate_instance() raises.
    """
    require_right_clock()
    require_secrets_again(instance, plan, is_authorizing=True)
    if not instance.has_token:
        if plan.given:
            save_changes(
                instance, configuration=plan.given, expect=PROVISIONABLE, is_authorizing=True
            )
            # With what other calls have changed.
            plan = plan_of(instance, provider_data=plan.provider_data)
        return provision_as_planned(instance, plan, actor=actor, code_verifier=code_verifier)
    if instance.state not in CREATED:
        raise StateConflictError(
            f"{instance.label} is in the state “{instance.get_state_display()}”, so it cannot be authenticated again now."
        )
    request = platform_request(instance, actor=actor, plan=plan, code_verifier=code_verifier)
    if plan.needs_code:
        raise MissingCodeError
    plan.require_complete()
    if moved_hosts(instance, plan):
        # The old host's tokens must not go to the new one, which may respond without a refresh token.
        request = replace(request, tokens=None)
    renewed = platform_for(request.organization).update_instance(request)
    if plan.authentication.needs_browser and code_in(plan.provider_data):
        try:
            _require_same_account(instance, request, renewed)
        except OtherAccountError:
            if on_other_account:
                on_other_account(renewed)
            raise
    return store_renewed(instance, plan, request, renewed, why="Credentials renewed.")


def _require_same_account(
    instance: Instance, request: PlatformRequest, renewed: PlatformInstance
) -> None:
    """Compare what identifies the accounts of the stored and the new tokens, as far as both are known.

    Raises OtherAccountError.
    """
    # Instances that were connected before the column existed know what the callback brought, such as realmId.
    known = instance.account_identity or (request.tokens.extra if request.tokens else {})
    other = {n: value for n, value in renewed.account.items() if known.get(n, value) != value}
    if other:
        before = words_for({name: known[name] for name in other})
        raise OtherAccountError(instance.label, known=before, authorized=words_for(other))


def words_for(account: Mapping[str, str]) -> str:
    """Name an account for people: "realmId 1111, userId 7"."""
    return ", ".join(f"{name} {value}" for name, value in account.items())


def store_renewed(
    instance: Instance,
    plan: ConnectionPlan,
    request: PlatformRequest,
    renewed: PlatformInstance,
    *,
    why: str,
) -> Instance:
    """Store what a platform has verified, with the plan's changes. request: the one that was sent.

    Raises StateConflictError.
    """
    token = {}
    if request.has_lost_token:
        why = f"{why} The Element token could not be read, so a new one was created."
        token = {"token": renewed.token}
    columns = token | connected_columns(instance, renewed, code_in(request.provider_data))
    read: dict[str, Any] = {
        "state": instance.state,
        "state_changed_at": instance.state_changed_at,
    }
    version = instance.tokens_version
    moved_at: datetime | None = None

    def store() -> None:
        nonlocal moved_at
        # Reset what an attempt that was rolled back has changed in memory.
        instance.accept_move(**read)
        with locked(instance) as stored:
            if stored.state_changed_at == moved_at:
                # The previous attempt was committed, but not confirmed.
                instance.accept_move(state=stored.state, state_changed_at=moved_at)
                return
            if stored.tokens_version == version:
                # A refusal of the old credentials in the meantime says nothing of the new ones.
                instance.accept_move(state=stored.state, state_changed_at=stored.state_changed_at)
            merged = merge_proved(instance, stored, plan)
            move_instance(
                instance,
                State.CONNECTED,
                expect=CREATED,
                actor=request.actor,
                why=why,
                **merged,
                **columns,
            )
            moved_at = instance.state_changed_at

    outlast_outage(store, what="state")
    describe_instance(instance, actor=request.actor, known=request)
    return instance
