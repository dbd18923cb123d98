"""Changes of one instance by several callers at once: each merges its own into the row as it is stored now.

The network is never used while a row is held. What a provider proves is proved before, with the row as it was read,
and stored only if nobody changed the credentials in the meantime.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from instances.catalogue.definition import VARIANT_KEY, AuthenticationType
from instances.errors import InstanceDeletedError, StateConflictError
from instances.models import Instance, Tag
from instances.provisioning.hosts import host_columns, hosts_to_store, require_secrets_again
from instances.provisioning.plan import authentication_of, split_secrets


@contextmanager
def locked(instance: Instance) -> Iterator[Instance]:
    """Hold the instance's row to the end of a transaction; gives it as it is stored now.

    On SQLite the transaction itself is the lock: it takes the only one there is at its start.
    Raises InstanceDeletedError when it is gone or is being deleted.
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
    """Store what is given, all or nothing, and leave the rest as it is stored now; nothing is sent.

    configuration: the changed keys alone, normalised. expect: the states in which this is meant. is_authorizing: new
    tokens will replace the stored ones. Raises InstanceDeletedError, StateConflictError, SecretsNeededAgainError, and
    InvalidConfigurationError for a variant that is not known.
    """
    with locked(instance) as stored:
        if stored.state not in expect:
            raise StateConflictError(
                f"{instance.label} is {stored.get_state_display()}, so this cannot be changed now."
            )
        columns = (
            _merged(stored, configuration, is_authorizing=is_authorizing) if configuration else {}
        )
        columns |= {} if name is None else {"name": name}
        for column, value in columns.items():
            setattr(stored, column, value)
        if columns:
            stored.save(update_fields=list(columns))
        if tags is not None:
            stored.tags.all().delete()
            Tag.objects.bulk_create(Tag(instance=stored, name=one) for one in tags)
    for column in columns:
        setattr(instance, column, getattr(stored, column))
    if tags is not None:
        instance.tag_names = list(tags)


def merge_proved(
    instance: Instance, stored: Instance, changes: Mapping[str, str], proved: Mapping[str, str]
) -> dict[str, Any]:
    """The columns of a configuration whose changes were proved together with the rest of instance's, as it was read.

    stored: the same row, locked. proved: the whole of it, which is stored where the secrets in the row do not decrypt.
    Raises StateConflictError where another call changed what was proved.
    """
    if instance.lost_keys:
        return _columns(stored, proved)
    read, now = instance.full_configuration(), stored.full_configuration()
    names = _proved_names(authentication_of(instance, {**read, **changes})) - changes.keys()
    if others := sorted(name for name in names if read.get(name) != now.get(name)):
        raise StateConflictError(
            f"{instance.label}: {', '.join(others)} was changed by another call in the meantime, "
            "so this change was not stored. Send it again."
        )
    return _merged(stored, changes, is_authorizing=True)


def require_as_read(instance: Instance, stored: Instance) -> None:
    """Raises StateConflictError where another call changed the configuration since instance was read."""
    if instance.full_configuration() != stored.full_configuration():
        raise StateConflictError(
            f"{instance.label}: its configuration was changed by another call in the meantime. Try again."
        )


def remove_row(instance: Instance) -> None:
    """Delete the row and what hangs on it. Whoever is about to add to it has done so before, or finds it gone."""
    with transaction.atomic():
        Instance.objects.select_for_update().filter(pk=instance.pk).values_list("pk").first()
        instance.delete()


def _merged(
    stored: Instance, changes: Mapping[str, str], *, is_authorizing: bool
) -> dict[str, Any]:
    # Secrets that do not decrypt are replaced where all of them are given, and never dropped.
    is_replaced = stored.lost_keys and changes.keys() >= set(stored.lost_keys)
    kept = stored.readable_configuration() if is_replaced else stored.full_configuration()
    merged = {**kept, **changes}
    authentication_of(stored, merged)  # names a variant that there is
    require_secrets_again(stored, merged, changes, is_authorizing=is_authorizing)
    return _columns(stored, merged)


def _columns(stored: Instance, configuration: Mapping[str, str]) -> dict[str, Any]:
    """The configuration as it is stored, with the hosts that its secrets belong to from then on."""
    hosts = host_columns(hosts_to_store(stored, configuration))
    return hosts | split_secrets(stored.element.parsed, configuration)


def _proved_names(way: AuthenticationType) -> set[str]:
    """The configuration keys that a provider, or a remote platform, is asked with."""
    return {name for field in way.fields for name in field.names} | {VARIANT_KEY}
