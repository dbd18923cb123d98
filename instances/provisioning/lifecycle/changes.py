"""Store concurrent changes of an instance: merge each into the current row.

The network is never used while a row is locked. Credentials are verified first, with the row as it was read, and
stored only if no other call has changed them since.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from instances.catalogue.authentication import VARIANT_KEY, AuthenticationType
from instances.errors import InstanceDeletedError, StateConflictError
from instances.models import Instance, Tag
from instances.provisioning.configuration import split_secrets
from instances.provisioning.hosts import host_columns, hosts_to_store, require_secrets_again
from instances.provisioning.plan import ConnectionPlan, plan_of


@contextmanager
def locked(instance: Instance) -> Iterator[Instance]:
    """Lock the instance's row for a transaction, and give the row as it is stored now.

    On SQLite the transaction itself is the lock: it takes the database's only write lock at its start.

    Raises InstanceDeletedError if the instance was deleted or is being deleted.
    """
    with transaction.atomic():
        rows = Instance.objects.select_for_update(no_key=True)
        stored = rows.filter(pk=instance.pk).first()
        if stored is None or stored.state == Instance.State.DELETING:
            raise InstanceDeletedError(instance.label)
        stored.element = instance.element
        yield stored


def save_changes(
    instance: Instance,
    *,
    configuration: Mapping[str, str] | None = None,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    expect: Collection[str] = Instance.State.values,
    is_authorizing: bool = False,
) -> None:
    """Store changes, all or none, without changing anything else; nothing is sent.

    configuration: only the changed keys, normalised. expect: the states in which this is allowed. is_authorizing: new
    tokens will replace the stored ones.

    Raises InstanceDeletedError, StateConflictError, SecretsNeededAgainError, and InvalidConfigurationError for an
    unknown variant.
    """
    with locked(instance) as stored:
        if stored.state not in expect:
            raise StateConflictError(
                f"{instance.label} is in the state “{stored.get_state_display()}”, so this cannot be changed now."
            )
        columns = (
            _merged(stored, configuration, is_authorizing=is_authorizing) if configuration else {}
        )
        if configuration and _changes_credentials(stored, configuration):
            # No exchange has proved what is stored now.
            columns["verified_at"] = None
        columns |= {} if name is None else {"name": name}
        for column, value in columns.items():
            setattr(stored, column, value)
        if columns:
            stored.save(update_fields=list(columns))
        if tags is not None:
            stored.tags.all().delete()
            Tag.objects.bulk_create(Tag(instance=stored, name=tag) for tag in tags)
    for column in columns:
        setattr(instance, column, getattr(stored, column))
    if tags is not None:
        instance.tag_names = list(tags)


def merge_proved(instance: Instance, stored: Instance, plan: ConnectionPlan) -> dict[str, Any]:
    """Return the columns of a planned configuration that was verified with the row as it was read.

    stored: the same row, locked. All of the plan is stored if secrets in the row cannot be decrypted.

    Raises StateConflictError if another call has changed what was verified.
    """
    if instance.lost_keys:
        return _columns(stored, plan)
    read, now = instance.full_configuration(), stored.full_configuration()
    names = _proved_names(plan.authentication) - plan.given.keys()
    if others := sorted(name for name in names if read.get(name) != now.get(name)):
        raise StateConflictError(
            f"{instance.label}: another call has changed {', '.join(others)}, so this change was not saved. "
            "Send it again."
        )
    return _merged(stored, plan.given, is_authorizing=True)


def require_as_read(instance: Instance, stored: Instance) -> None:
    """Check that the configuration is unchanged since the instance was read.

    Raises StateConflictError if another call has changed it.
    """
    if instance.full_configuration() != stored.full_configuration():
        raise StateConflictError(
            f"{instance.label}: another call has changed its configuration. Try again."
        )


def remove_row(instance: Instance) -> None:
    """Delete the row and everything that refers to it.

    The lock makes concurrent inserts of related rows come first or fail.
    """
    with transaction.atomic():
        Instance.objects.select_for_update().filter(pk=instance.pk).values_list("pk").first()
        instance.delete()


def _merged(
    stored: Instance, changes: Mapping[str, str], *, is_authorizing: bool
) -> dict[str, Any]:
    # Secrets that cannot be decrypted are replaced only if all of them are given, and never dropped.
    is_replaced = stored.lost_keys and changes.keys() >= set(stored.lost_keys)
    kept = stored.readable_configuration() if is_replaced else stored.full_configuration()
    # The row may have been changed since the change was planned.
    plan = plan_of(stored, {**kept, **changes}, given=changes)
    require_secrets_again(stored, plan, is_authorizing=is_authorizing)
    return _columns(stored, plan)


def _columns(stored: Instance, plan: ConnectionPlan) -> dict[str, Any]:
    """Return the columns of a planned configuration and of its secrets' hosts."""
    hosts = host_columns(hosts_to_store(stored, plan))
    return hosts | split_secrets(plan.element.parsed, plan.own_configuration)


def _changes_credentials(stored: Instance, changes: Mapping[str, str]) -> bool:
    before = stored.readable_configuration()
    changed = {name for name, value in changes.items() if before.get(name) != value}
    return bool(changed & _proved_names(stored.authentication))


def _proved_names(way: AuthenticationType) -> set[str]:
    """Return the configuration keys that a provider or a remote platform verifies."""
    return {name for field in way.fields for name in field.names} | {VARIANT_KEY}
