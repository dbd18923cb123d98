"""The life of an instance: provisioned, checked, authenticated again, disabled, deleted."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from instances.deadlines import Deadline
from instances.errors import (
    CredentialsRefusedError,
    GoneError,
    GrantRejectedError,
    InstancesError,
    MissingCodeError,
    PlatformError,
    StateConflictError,
    UnreadableSecretError,
)
from instances.models import Instance, Interaction, StateChange
from instances.models.database_clock import database_now, require_right_clock
from instances.models.outages import outlast_outage
from instances.platforms.base import InstanceDraft, PlatformInstance, code_in
from instances.platforms.registry import platform_for
from instances.provisioning.changes import (
    locked,
    merge_proved,
    remove_row,
    require_as_read,
    save_changes,
)
from instances.provisioning.configuration import authentication_of, require_complete
from instances.provisioning.creations import (
    Creation,
    connected_columns,
    send_creation,
    without_conflicts,
)
from instances.provisioning.drafts import changed_configuration, draft_of, normalised_changes
from instances.provisioning.due_times import (
    SEND_WITHIN,
    SETTLED_AFTER,
    STUCK_AFTER,
    can_refresh,
)
from instances.provisioning.hosts import moved_hosts
from instances.provisioning.leases import wait_until_unleased
from instances.provisioning.refreshing import refresh_instance
from instances.provisioning.states import NO_CAUSE, Move, State, cause_of, move_instance

_PROVISIONABLE = {State.DRAFT, State.AWAITING_AUTHORIZATION, State.FAILED}
# Each but the first follows another caller's change of the same instance.
MAX_DESCRIPTIONS = 20


def provision_instance(
    instance: Instance,
    *,
    actor: str,
    provider_data: Mapping[str, str] | None = None,
    code_verifier: str = "",
) -> Instance:
    """Turn a draft into a connected instance at its platform.

    provider_data: what the provider sent to the callback; needed for OAuth. Ends connected, failed or
    unknown, and raises what made it so: PlatformError, MissingConfigurationError. Raises MissingCodeError,
    StateConflictError and ClockSkewError before anything is sent.
    """
    require_right_clock()
    draft = draft_of(
        instance,
        actor=actor,
        configuration=instance.full_configuration(),
        provider_data=provider_data or {},
        code_verifier=code_verifier,
    )
    if _lacks_code(instance, draft):
        raise MissingCodeError
    if instance.external_authentication == Instance.ExternalAuthentication.NONE:
        require_complete(draft.organization, draft.authentication, draft.configuration)
    draft = sent_in_time(draft)
    with locked(instance) as stored:
        require_as_read(instance, stored)
        move_instance(
            instance,
            State.PROVISIONING,
            expect=_PROVISIONABLE,
            actor=actor,
            why="Provisioning began.",
        )
    return create_at_platform(instance, draft)


def reauthenticate_instance(
    instance: Instance,
    *,
    actor: str,
    configuration: Mapping[str, Any] | None = None,
    provider_data: Mapping[str, str] | None = None,
    code_verifier: str = "",
) -> Instance:
    """Authenticate again with changed configuration or a new code; id, Element token and history stay.

    Failure leaves the stored instance as it was (contract 7.6). An instance that was never connected is
    provisioned instead. Raises InputError, PlatformError, StateConflictError, ClockSkewError.
    """
    require_right_clock()
    changes = normalised_changes(instance, configuration or {})
    changed = changed_configuration(instance, configuration or {}, is_authorizing=True)
    if not instance.has_token:
        if changes:
            save_changes(
                instance, configuration=changes, expect=_PROVISIONABLE, is_authorizing=True
            )
        return provision_instance(
            instance, actor=actor, provider_data=provider_data, code_verifier=code_verifier
        )
    reconnectable = {State.CONNECTED, State.NEEDS_REAUTHORIZATION}
    if instance.state not in reconnectable:
        raise StateConflictError(
            f"{instance.label} is {instance.get_state_display()}, so it cannot be authenticated again now."
        )
    draft = draft_of(
        instance,
        actor=actor,
        configuration=changed,
        provider_data=provider_data or {},
        code_verifier=code_verifier,
    )
    if _lacks_code(instance, draft):
        raise MissingCodeError
    require_complete(draft.organization, draft.authentication, draft.configuration)
    if moved_hosts(instance, changed):
        # What the old host gave out must not go to the new one, which may answer without a refresh token.
        draft = replace(draft, tokens=None)
    renewed = platform_for(draft.organization).update_instance(draft)
    why = "Authenticated again."
    token = {}
    if draft.has_lost_token:
        why = "Authenticated again; the Element token could not be read, so it is a new one."
        token = {"token": renewed.token}
    columns = token | connected_columns(instance, renewed, code_in(draft.provider_data))
    read: dict[str, Any] = {
        "state": instance.state,
        "state_changed_at": instance.state_changed_at,
    }
    moved_at: datetime | None = None

    def store() -> None:
        nonlocal moved_at
        # After an attempt that was rolled back, as it was read.
        instance.accept_move(**read)
        with locked(instance) as stored:
            if stored.state_changed_at == moved_at:
                # The commit of that attempt was made, and not confirmed.
                instance.accept_move(state=stored.state, state_changed_at=moved_at)
                return
            merged = merge_proved(instance, stored, changes, changed)
            move_instance(
                instance,
                State.CONNECTED,
                expect=reconnectable,
                actor=actor,
                why=why,
                **merged,
                **columns,
            )
            moved_at = instance.state_changed_at

    outlast_outage(store, what="state")
    describe_instance(instance, actor=actor, told=draft)
    return instance


def describe_instance(instance: Instance, *, actor: str, told: InstanceDraft | None = None) -> None:
    """Tell a remote platform what is stored, until what it was told last is what is stored.

    Of changes that are made at once, the one that is stored first may arrive last. told: what it was told already.
    Raises PlatformError, InstanceDeletedError, StateConflictError when others do not stop changing it.
    """
    if not instance.organization.is_remote:
        return
    for _ in range(MAX_DESCRIPTIONS):
        instance.refresh_from_db()
        draft = draft_of(instance, actor=actor)
        if told and _description(told) == _description(draft):
            return
        platform_for(draft.organization).describe_instance(draft)
        told = draft
    raise StateConflictError(
        f"{instance.label} is being changed by other calls all the time, so its platform may not know the latest "
        "name, tags and configuration. Change it again."
    )


def _description(draft: InstanceDraft) -> tuple[object, ...]:
    return draft.name, draft.tags, draft.configuration


def check_instance(instance: Instance, *, actor: str) -> Instance:
    """Ask the provider or the platform whether it works, and record the answer.

    An instance whose creation is unknown, or was cut off, is reconciled instead. A refusal makes a connected
    instance one that needs reauthorization; an outage changes nothing. Raises what the check found.
    """
    if instance.state == State.UNKNOWN or is_stuck(instance):
        return reconcile_instance(instance, actor=actor)
    checkable = {State.CONNECTED, State.NEEDS_REAUTHORIZATION}
    if instance.state not in checkable:
        raise StateConflictError(
            f"{instance.label} is {instance.get_state_display()}: there is nothing to check yet."
        )
    # Without its Element token it is not connected, whatever the provider says.
    instance.require_readable()
    now = timezone.now()
    try:
        found = _ask_for(instance, actor=actor)
    except (CredentialsRefusedError, GoneError) as error:
        _mark_refused(instance, error, actor=actor)
        raise
    except InstancesError:
        Instance.objects.filter(pk=instance.pk).update(last_checked_at=now)
        raise
    if not found.is_valid:
        invalid = CredentialsRefusedError(
            f"{instance.label}: the platform says that it no longer works. Authenticate it again."
        )
        _mark_refused(instance, invalid, actor=actor)
        raise invalid
    columns: dict[str, Any] = {"last_checked_at": now, "last_succeeded_at": now, **NO_CAUSE}
    if instance.state == State.CONNECTED:
        unmoved = Instance.objects.filter(pk=instance.pk, state=State.CONNECTED)
        if unmoved.update(**columns) != 1:
            raise StateConflictError(f"{instance.label} was changed or deleted in the meantime.")
        for name, value in columns.items():
            setattr(instance, name, value)
    else:
        why = "A check succeeded."
        move_instance(instance, State.CONNECTED, expect=checkable, actor=actor, why=why, **columns)
    return instance


def _ask_for(instance: Instance, *, actor: str) -> PlatformInstance:
    """Ask the platform; an access token that has run out, or that the provider refuses, is renewed first, once."""
    tokens = draft_of(instance, actor=actor).tokens
    is_renewable = tokens is not None and can_refresh(authentication_of(instance), tokens)
    has_run_out = bool(instance.expires_at and instance.expires_at <= timezone.now())
    if is_renewable and instance.state == State.CONNECTED and has_run_out:
        refresh_instance(instance, actor=actor)
        instance.refresh_from_db()
        is_renewable = False
    draft = draft_of(instance, actor=actor)
    platform = platform_for(draft.organization)
    try:
        return platform.get_instance(draft)
    except CredentialsRefusedError:
        if not is_renewable or instance.state != State.CONNECTED:
            raise
    refresh_instance(instance, actor=actor)
    instance.refresh_from_db()
    return platform.get_instance(draft_of(instance, actor=actor))


def reconcile_instance(instance: Instance, *, actor: str, is_abandoned: bool = False) -> Instance:
    """Find out what became of a create whose answer was lost, by the instance's tag at the platform.

    is_abandoned: the caller knows that the process that was provisioning it has ended; then an embedded platform,
    where nothing is created before the answer is here, needs no time to be certain. Found: its id and token are adopted, and copies beside it are deleted. Not found, and long enough ago to be
    certain: it is created again, or, where that needs a new OAuth code, failed. Raises StateConflictError
    when there is nothing to reconcile or it is too early, and PlatformError.
    """
    is_cut_off = is_stuck(instance) or (is_abandoned and instance.state == State.PROVISIONING)
    if instance.state != State.UNKNOWN and not is_cut_off:
        raise StateConflictError(f"{instance.label} has no lost answer to reconcile.")
    require_right_clock()
    draft = draft_of(instance, actor=actor)
    platform = platform_for(draft.organization)
    found = platform.find_instances(draft)
    is_certain = is_abandoned and not draft.organization.is_remote
    is_early = timezone.now() < instance.state_changed_at + SETTLED_AFTER
    if not found and is_early and not is_certain:
        raise StateConflictError(
            f"{instance.label} is not at the platform yet; its creation may still be under way. "
            f"Check again in {int(SETTLED_AFTER.total_seconds())} seconds."
        )
    draft = sent_in_time(draft)
    move_instance(
        instance,
        State.PROVISIONING,
        expect={State.UNKNOWN, State.PROVISIONING},
        actor=actor,
        why="The lost answer is being reconciled.",
    )
    if not found:
        return _create_again(instance, draft)
    adopted = next(iter(_own_among(found, instance, draft)), None)
    creation = Creation(instance, draft, created=adopted or found[0])
    _end(creation, why="Found at the platform by its tag.", is_final=True)
    for copy in _own_among(found, instance, draft):
        if copy.remote_id != instance.remote_id:
            platform.delete_instance(replace(draft, remote_id=copy.remote_id))
    return instance


def set_enabled(instance: Instance, *, is_enabled: bool, actor: str) -> Instance:
    """Enable or disable an instance, here and at its platform; doing so twice changes nothing.

    Raises PlatformError, InstanceDeletedError.
    """
    if instance.is_disabled is not is_enabled:
        return instance
    if instance.has_token:
        draft = draft_of(instance, actor=actor)
        platform_for(draft.organization).set_enabled(draft, is_enabled=is_enabled)
    with locked(instance) as stored:
        if stored.is_disabled is is_enabled:
            Instance.objects.filter(pk=instance.pk).update(is_disabled=not is_enabled)
            StateChange.objects.create(
                instance=instance,
                from_state=stored.state,
                to_state=stored.state,
                actor=actor,
                reason="Enabled." if is_enabled else "Disabled.",
            )
    instance.refresh_from_db()
    return instance


def set_trace_logging(instance: Instance, *, is_on: bool) -> None:
    """The wire's trace logging flag. Every exchange is recorded anyway, so it changes nothing else.

    Raises InstanceDeletedError.
    """
    with locked(instance):
        Instance.objects.filter(pk=instance.pk).update(is_trace_logging=is_on)


def delete_instance(instance: Instance, *, actor: str, is_forced: bool = True) -> None:
    """Delete it at its platform, revoke what can be revoked, then forget it; its interactions stay.

    is_forced: also where secrets cannot be read that its platform would have to be told; a recorded exchange says
    then that it was deleted here alone. A failure leaves it deleting, and the same call goes on from there. Raises
    PlatformError, StateConflictError while it is being provisioned, UnreadableSecretError unless is_forced.
    """
    expect = set(State.values) - {State.PROVISIONING}
    if is_stuck(instance):
        expect.add(State.PROVISIONING)
    move_instance(instance, State.DELETING, expect=expect, actor=actor, why="Deletion began.")
    # A refresh that is under way brings tokens that are to be revoked too.
    wait_until_unleased(instance.pk)
    instance.refresh_from_db()
    try:
        _delete_at_platform(instance, actor=actor)
    except InstancesError as error:
        if not (is_forced and isinstance(error, UnreadableSecretError)):
            Instance.objects.filter(pk=instance.pk).update(**cause_of(error))
            raise
        _record_left_behind(instance, error, actor=actor)
    remove_row(instance)


def _delete_at_platform(instance: Instance, *, actor: str) -> None:
    draft = draft_of(instance, actor=actor)
    platform = platform_for(draft.organization)
    if instance.has_token:
        platform.delete_instance(draft)
        return
    for copy in _own_among(platform.find_instances(draft), instance, draft):
        platform.delete_instance(replace(draft, remote_id=copy.remote_id))


def _record_left_behind(instance: Instance, error: UnreadableSecretError, *, actor: str) -> None:
    Interaction.objects.create(
        instance=instance,
        organization=instance.organization,
        subject=instance.label,
        step="delete",
        direction=Interaction.Direction.OUT,
        actor=actor,
        method="DELETE",
        url="",
        error=(
            f"{instance.label} was deleted here alone, and nothing was sent. {error.reason} If it still has access, "
            "revoke that at the provider or on the remote platform."
        ),
        started_at=timezone.now(),
    )


def forget_instance(instance: Instance, *, actor: str) -> None:
    """Remove the row of an instance that its platform refused, so never had; its interactions stay."""
    move_instance(
        instance,
        State.DELETING,
        expect={State.DRAFT, State.FAILED},
        actor=actor,
        why="Refused, so not kept.",
    )
    remove_row(instance)


def is_stuck(instance: Instance) -> bool:
    """Whether provisioning began so long ago that the process that did it is gone."""
    if instance.state != State.PROVISIONING:
        return False
    return bool(instance.state_changed_at < database_now() - STUCK_AFTER)


def _lacks_code(instance: Instance, draft: InstanceDraft) -> bool:
    if instance.external_authentication == Instance.ExternalAuthentication.INITIAL:
        return False
    return draft.authentication.needs_browser and not code_in(draft.provider_data)


def sent_in_time(draft: InstanceDraft) -> InstanceDraft:
    """The draft of a create that begins now: a process that is stopped meanwhile does not send it later."""
    return replace(draft, deadline=Deadline(SEND_WITHIN))


def create_at_platform(
    instance: Instance, draft: InstanceDraft, *, is_final: bool = False
) -> Instance:
    """The second half of provision_instance(): create it, and record how that ended.

    is_final: the platform was asked for it before (without_conflicts()). The network is used here, so never inside a
    transaction.
    """
    _end(send_creation(instance, draft), is_final=is_final)
    return instance


def _end(creation: Creation, *, why: str = "Provisioned.", is_final: bool = False) -> None:
    """Out of provisioning, as what came of it says. Raises the error that it ended in."""
    instance = creation.instance

    def compare() -> list[Creation]:
        return without_conflicts([creation], is_final=is_final)

    [ended] = outlast_outage(compare, what="state")
    try:
        # Alone it outlasts an outage; within a caller's transaction, only what is done here is undone.
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            _carry_out(ended.move(why=why), actor=creation.draft.actor)
    except IntegrityError:
        # In the meantime, another process stored the id or the Element token.
        instance.refresh_from_db()
        [ended] = compare()
        _carry_out(ended.move(why=why), actor=creation.draft.actor)
    if ended.error:
        raise ended.error


def _own_among(
    found: Sequence[PlatformInstance], instance: Instance, draft: InstanceDraft
) -> list[PlatformInstance]:
    """Those at the platform that are no other instance's here, each once."""
    once = {one.remote_id: one for one in reversed(found)}
    creations = [Creation(instance, draft, created=once[key]) for key in reversed(once)]
    return [one.created for one in without_conflicts(creations) if one.created]


def connect_unsaved(instance: Instance, created: PlatformInstance) -> None:
    """Give a new instance, which is in memory alone, what its platform answered without any exchange."""
    columns = connected_columns(instance, created, "")
    if created.tokens:
        columns["tokens_version"] = 1
    for name, value in {"token": created.token, **columns}.items():
        setattr(instance, name, value)


def _create_again(instance: Instance, draft: InstanceDraft) -> Instance:
    if not _lacks_code(instance, draft):
        return create_at_platform(instance, draft, is_final=True)
    error = GrantRejectedError(
        f"{instance.label}: its creation was cut off and the authorization code is spent. Authorize it again."
    )
    move_instance(
        instance,
        State.FAILED,
        expect={State.PROVISIONING},
        actor=draft.actor,
        why=str(error),
        **cause_of(error),
    )
    raise error


def _carry_out(move: Move, *, actor: str) -> None:
    """Out of provisioning, with what the platform answered."""
    move_instance(
        move.instance,
        move.to,
        expect={State.PROVISIONING},
        actor=actor,
        why=move.why,
        is_outlasting=True,
        **move.changes,
    )


def _mark_refused(instance: Instance, error: PlatformError, *, actor: str) -> None:
    is_gone = isinstance(error, GoneError)
    gone: dict[str, Any] = {"token": "", "remote_id": None} if is_gone else {}
    move_instance(
        instance,
        State.FAILED if is_gone else State.NEEDS_REAUTHORIZATION,
        expect={State.CONNECTED, State.NEEDS_REAUTHORIZATION},
        actor=actor,
        why=str(error),
        only_if={"tokens_version": instance.tokens_version},
        last_checked_at=timezone.now(),
        **cause_of(error),
        **gone,
    )
