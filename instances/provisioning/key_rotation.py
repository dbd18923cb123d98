"""Rotation of ENCRYPTION_KEYS: every secret encrypted anew under the first, row by row."""

from django.apps import apps
from django.db import transaction
from django.db.models import Model

from instances import crypto
from instances.fields import SealedRow, SealedTextField


def sealed_fields(model: type[Model]) -> list[SealedTextField]:
    """The sealed fields of a model."""
    return [field for field in model._meta.get_fields() if isinstance(field, SealedTextField)]


def rotate_encryption_keys(*, is_dry_run: bool = False) -> int:
    """Encrypt under the first key whatever is under another, and renew its digest; how many secrets.

    Safe to stop, to run again, and beside a running program: each row is changed under a lock, and only if its
    ciphertexts are still those that were read. Raises UnreadableSecretError at a row that no key decrypts.
    """
    rotated = 0
    for model in apps.get_models():
        if issubclass(model, SealedRow):
            rotated += _rotate_model(model, is_dry_run=is_dry_run)
    return rotated


def _rotate_model(model: type[SealedRow], *, is_dry_run: bool) -> int:
    rotated = 0
    first = crypto.ciphertext_prefix(crypto.encryption_keys()[0].id)
    for pk in model._default_manager.order_by("pk").values_list("pk", flat=True).iterator():
        with transaction.atomic():
            row = model._default_manager.select_for_update().filter(pk=pk).first()
            if row is None:
                continue
            old = [
                field
                for field in sealed_fields(model)
                if (sealed := getattr(row, field.name)) and not sealed.ciphertext.startswith(first)
            ]
            rotated += len(old)
            if old and not is_dry_run:
                _rotate_row(row, old)
    return rotated


def _rotate_row(row: SealedRow, fields: list[SealedTextField]) -> None:
    for field in fields:
        setattr(row, field.name, getattr(row, field.name).reveal())
    names = [name for field in fields for name in (field.name, field.digest_field) if name]
    row.save(update_fields=names)
