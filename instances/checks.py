"""System checks: the encryption keys parse and fit the data, the catalogue parses, the public address is https."""

from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning as CheckWarning, register
from django.db import DatabaseError, connection, models
from django.db.models.functions import Cast

from instances import crypto
from instances.catalogue.loading import shipped_elements
from instances.errors import CatalogueError, EncryptionKeyError
from instances.fields import SealedTextField
from instances.redaction import redact_text

# `manage.py up` and config.wsgi run the checks of this tag before they serve anything.
ENCRYPTION = "encryption"
LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}


@register(ENCRYPTION)
def check_encryption_keys_parse(**_: Any) -> list[CheckMessage]:
    try:
        crypto.encryption_keys()
    except EncryptionKeyError as error:
        return [Error(str(error), id="instances.E001")]
    return []


@register(ENCRYPTION, Tags.database)
def check_encryption_keys_fit(
    *, databases: Collection[str] | None = None, **_: Any
) -> list[CheckMessage]:
    if not databases or check_encryption_keys_parse():
        return []
    try:
        return [Error(sentence, id="instances.E002") for sentence in encryption_keys_needed()]
    except DatabaseError as error:
        reason = redact_text(str(error)).strip()
        return [
            Error(
                f"The database cannot be used: {reason}. Correct DATABASE_URL, or start the database.",
                id="instances.E003",
            )
        ]


@register()
def check_catalogue_parses(**_: Any) -> list[CheckMessage]:
    try:
        shipped_elements()
    except CatalogueError as error:
        return [Error(str(error), id="instances.E004")]
    return []


@register(Tags.security, deploy=True)
def check_public_url_is_https(**_: Any) -> list[CheckMessage]:
    address = urlsplit(settings.PUBLIC_URL)
    if address.scheme == "https" or address.hostname in LOOPBACK_HOSTS:
        return []
    return [
        CheckWarning(
            f"PUBLIC_URL is {settings.PUBLIC_URL}: passwords and tokens would travel in clear. "
            "Serve it over https and say so in PUBLIC_URL.",
            id="instances.W001",
        )
    ]


@register(Tags.security, deploy=True)
def check_proxies_are_counted(**_: Any) -> list[CheckMessage]:
    is_behind_proxy = bool(getattr(settings, "SECURE_PROXY_SSL_HEADER", None))
    if not is_behind_proxy or settings.TRUSTED_PROXY_COUNT:
        return []
    return [
        CheckWarning(
            "TRUST_PROXY_HEADERS is on and TRUSTED_PROXY_COUNT is 0, so all clients seem to share the proxy's address "
            "and one person's failed sign-ins count against everyone. Set TRUSTED_PROXY_COUNT to the number of proxies.",
            id="instances.W004",
        )
    ]


@register(Tags.security, deploy=True)
def check_sandbox_is_off(**_: Any) -> list[CheckMessage]:
    if not (settings.SANDBOX_ENABLED and urlsplit(settings.PUBLIC_URL).scheme == "https"):
        return []
    return [
        CheckWarning(
            f"SANDBOX_ENABLED is true at {settings.PUBLIC_URL}: the sandbox's password is published, and this program "
            "may call its own address. Set SANDBOX_ENABLED=false.",
            id="instances.W002",
        )
    ]


def encryption_keys_needed() -> list[str]:
    """A sentence for each sealed column that holds data under a key which is not in ENCRYPTION_KEYS.

    Tables that are not there yet hold none. Raises DatabaseError, EncryptionKeyError.
    """
    keys = crypto.encryption_keys()
    known = ", ".join(key.id for key in keys)
    sentences = []
    for model, field in _stored_sealed_fields():
        if ciphertext := _ciphertext_of_other_keys(model, field, keys):
            sentences.append(
                f"{model._meta.db_table}.{field.column} holds secrets that were encrypted with the key "
                f"{crypto.key_id_of(ciphertext)}, which is not in ENCRYPTION_KEYS (there: {known}). Add that key "
                "to ENCRYPTION_KEYS again, or use the database that belongs to these keys."
            )
    return sentences


def _stored_sealed_fields() -> Iterator[tuple[type[models.Model], SealedTextField]]:
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in apps.get_models():
            if model._meta.db_table not in tables:
                continue
            sealed = [one for one in model._meta.local_fields if isinstance(one, SealedTextField)]
            if not sealed:
                continue
            described = connection.introspection.get_table_description(cursor, model._meta.db_table)
            columns = {column.name for column in described}
            yield from ((model, field) for field in sealed if field.column in columns)


def _ciphertext_of_other_keys(
    model: type[models.Model], field: SealedTextField, keys: tuple[crypto.EncryptionKey, ...]
) -> str | None:
    rows = model._base_manager.annotate(stored=Cast(field.name, models.TextField()))
    rows = rows.exclude(stored="")
    for key in keys:
        rows = rows.exclude(stored__startswith=crypto.ciphertext_prefix(key.id))
    return next(iter(rows.order_by().values_list("stored", flat=True)[:1]), None)
