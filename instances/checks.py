"""System checks of keys, stored secrets, catalogue and public address."""

from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning as CheckWarning, register
from django.db import DatabaseError, connection, models
from django.db.models.functions import Cast

from instances.catalogue.loading import shipped_elements
from instances.crypto import sealing
from instances.errors import CatalogueError, EncryptionKeyError
from instances.fields import SealedTextField, sealed_fields, sealed_models
from instances.redaction import redact_text

# `manage.py up` and config.wsgi run the checks with this tag at startup.
ENCRYPTION = "encryption"
NAMED_ROWS = 5
_KEY_MISSING = (
    "%(column)s holds secrets that cannot be read (id %(ids)s): they were encrypted with the key %(needed)s, which is "
    "not in ENCRYPTION_KEYS (there: %(known)s). Add that key again, or mark the rows and continue without them: "
    "manage.py quarantine_unreadable"
)
_NOT_CIPHERTEXT = (
    "%(column)s holds secrets that cannot be read (id %(ids)s): they are not ciphertexts of Instance Manager. Restore "
    "them from a backup, or mark the rows and continue without them: manage.py quarantine_unreadable"
)


@register(ENCRYPTION)
def check_encryption_keys_parse(**_: Any) -> list[CheckMessage]:
    try:
        sealing.encryption_keys()
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
        return list(_unfit_secrets())
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
    if address.scheme == "https" or address.hostname in settings.LOOPBACK_HOSTS:
        return []
    return [
        CheckWarning(
            f"PUBLIC_URL is {settings.PUBLIC_URL}, so passwords and tokens would be sent unencrypted. Serve the program "
            "over https and change PUBLIC_URL.",
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
            "TRUST_PROXY_HEADERS is on and TRUSTED_PROXY_COUNT is 0, so all clients appear to have the proxy's address "
            "and one user's failed sign-ins count against everyone. Set TRUSTED_PROXY_COUNT to the number of proxies.",
            id="instances.W004",
        )
    ]


@register(Tags.security, deploy=True)
def check_sandbox_is_off(**_: Any) -> list[CheckMessage]:
    if not (settings.SANDBOX_ENABLED and urlsplit(settings.PUBLIC_URL).scheme == "https"):
        return []
    return [
        CheckWarning(
            f"SANDBOX_ENABLED is true at {settings.PUBLIC_URL}, but the sandbox's password is public and the program "
            "may call its own address. Set SANDBOX_ENABLED=false.",
            id="instances.W005",
        )
    ]


def _unfit_secrets() -> Iterator[CheckMessage]:
    """Yield a warning for each sealed column with ciphertexts of unknown keys.

    One more warning if no column has a ciphertext of these keys. Rows that are already marked are skipped. Only the
    beginning of each ciphertext is read, so that startup stays fast. Missing tables are ignored.
    Raises DatabaseError, EncryptionKeyError.
    """
    of_these_keys = models.Q(
        *(
            ("stored__startswith", sealing.ciphertext_prefix(key.id))
            for key in sealing.encryption_keys()
        ),
        _connector=models.Q.OR,
    )
    is_unfit, is_fit = False, False
    for rows, field in _stored_secrets():
        is_fit = is_fit or rows.filter(of_these_keys).exists()
        others = rows.exclude(of_these_keys).values_list("pk", "stored")
        if foreign := list(others[: NAMED_ROWS + 1]):
            is_unfit = True
            yield CheckWarning(_unfit(field, foreign), id="instances.W002")
    if is_unfit and not is_fit:
        yield CheckWarning(
            "No secret in the database was encrypted with a key of ENCRYPTION_KEYS. Use the keys that belong to this "
            "database, or the database that belongs to these keys.",
            id="instances.W003",
        )


def _unfit(field: SealedTextField, foreign: list[tuple[int, str]]) -> str:
    """Return a message that names the rows, the keys that they need, and what to do."""
    needed = sorted({sealing.key_id_of(ciphertext) for _, ciphertext in foreign} - {""})
    ids = ", ".join(str(pk) for pk, _ in foreign[:NAMED_ROWS])
    message = _KEY_MISSING if needed else _NOT_CIPHERTEXT
    return message % {
        "column": f"{field.model._meta.db_table}.{field.column}",
        "ids": f"{ids} and more" if len(foreign) > NAMED_ROWS else ids,
        "needed": ", ".join(needed),
        "known": ", ".join(key.id for key in sealing.encryption_keys()),
    }


def _stored_secrets() -> Iterator[tuple[models.QuerySet[Any], SealedTextField]]:
    """Yield the unmarked, non-empty rows of each sealed column, with `stored`."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in sealed_models():
            if model._meta.db_table not in tables:
                continue
            described = connection.introspection.get_table_description(cursor, model._meta.db_table)
            columns = {column.name for column in described}
            rows = model._base_manager.order_by()
            if "quarantined_at" in columns:
                rows = rows.filter(quarantined_at=None)
            for field in sealed_fields(model):
                if field.column in columns:
                    stored = Cast(field.name, models.TextField())
                    yield rows.annotate(stored=stored).exclude(stored=""), field
