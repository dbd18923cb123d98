"""Sealed fields: secrets that are encrypted in the database and opaque in Python.

class Instance(SealedRow):
    token = SealedTextField(digest_field="token_digest")

instance.token = "abc"                     # encrypted at once, bound to this row and field
str(instance.token)                        # '••••'
instance.token.reveal()                    # 'abc'; the only way to get the plain value
Instance.objects.filter(token_digest__in=sealing.digests("abc"))
"""

import json
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.utils.translation import gettext_lazy as _

from instances.crypto import sealing
from instances.errors import UnreadableSecretError

PLACEHOLDER = "••••"


class Sealed[T]:
    """A secret that prints as •••• and that only reveal() decrypts.

    Falsy if there is no secret.
    """

    __slots__ = ("_load", "_name", "ciphertext", "context")

    def __init__(
        self, ciphertext: str, context: str, load: Callable[[str], T], name: Callable[[], str]
    ) -> None:
        self.ciphertext = ciphertext
        self.context = context
        self._load = load
        self._name = name

    def reveal(self) -> T:
        """Return the plain value.

        Raises UnreadableSecretError if the key is missing or the row was altered.
        """
        if not self.ciphertext:
            return self._load("")
        try:
            return self._load(sealing.decrypt(self.ciphertext, context=self.context))
        except UnreadableSecretError as error:
            raise self.unreadable(error.reason) from None

    def unreadable(self, reason: str) -> UnreadableSecretError:
        """Return an error that names this secret and its row. reason: a sentence."""
        message = f"{self._name()} cannot be read. {reason} Enter it again, or restore the key or the row."
        return UnreadableSecretError(message, reason=reason)

    @property
    def is_readable(self) -> bool:
        """Whether reveal() works.

        Pages use it so that one unreadable row does not break them.
        """
        try:
            self.reveal()
        except UnreadableSecretError:
            return False
        return True

    def __bool__(self) -> bool:
        return bool(self.ciphertext)

    def __str__(self) -> str:
        return PLACEHOLDER if self.ciphertext else ""

    def __repr__(self) -> str:
        return f"<Sealed {self}>" if self.ciphertext else "<Sealed empty>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and self.ciphertext == other.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class SealedRow(models.Model):
    """A row with sealed fields. Every ciphertext is bound to the row's uid."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # When `manage.py quarantine_unreadable` found secrets that do not decrypt; None if all do.
    quarantined_at = models.DateTimeField(
        _("secrets unreadable since"), null=True, blank=True, editable=False
    )

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and end the quarantine once every secret was entered again."""
        names = kwargs.get("update_fields")
        changed = self.encrypt_anew(names)
        if self.quarantined_at and self.is_readable:
            self.quarantined_at = None
            changed.add("quarantined_at")
        if names is not None:
            kwargs["update_fields"] = {*names, *changed}
        super().save(*args, **kwargs)

    def encrypt_anew(self, names: Collection[str] | None = None) -> set[str]:
        """Encrypt secrets that are under an older key under the first; the columns that changed.

        names: only these columns. For whoever writes a whole row: what it read before a rotation of the keys must not
        come back after it. What cannot be read stays as it is.
        """
        first = sealing.ciphertext_prefix(sealing.first_key_id())
        changed: set[str] = set()
        for field in sealed_fields(type(self)):
            is_written = field.attname in self.__dict__ and (names is None or field.name in names)
            sealed: Sealed[Any] | None = getattr(self, field.name) if is_written else None
            if not sealed or sealed.ciphertext.startswith(first):
                continue
            with suppress(UnreadableSecretError):
                setattr(self, field.name, sealed.reveal())
                changed |= {field.name, *filter(None, [field.digest_field])}
        return changed

    @property
    def is_readable(self) -> bool:
        """Whether every stored secret decrypts."""
        return not self.unreadable_secrets()

    def unreadable_secrets(self) -> dict[str, str]:
        """Return why stored secrets do not decrypt: a sentence for each field name."""
        reasons = {}
        for field in sealed_fields(type(self)):
            try:
                self.reveal(field.name)
            except UnreadableSecretError as error:
                reasons[field.name] = error.reason
        return reasons

    def can_reveal(self, name: str) -> bool:
        """Whether reveal() works for a sealed field."""
        try:
            self.reveal(name)
        except UnreadableSecretError:
            return False
        return True

    def reveal(self, name: str) -> Any:
        """Return the plain value of a sealed field.

        Raises UnreadableSecretError, also if a stored value is gone.
        """
        sealed: Sealed[Any] = getattr(self, name)
        if not sealed and self.is_expected(name):
            raise sealed.unreadable("It is empty, although a secret was stored there.")
        return sealed.reveal()

    def require_readable(self) -> None:
        """Raise UnreadableSecretError if any stored secret does not decrypt."""
        for field in sealed_fields(type(self)):
            self.reveal(field.name)

    def is_expected(self, name: str) -> bool:
        """Whether another column shows that a secret was stored in this sealed field."""
        field = self._meta.get_field(name)
        digest_field = field.digest_field if isinstance(field, SealedTextField) else ""
        return bool(digest_field and getattr(self, digest_field))


def sealed_models() -> Iterator[type[SealedRow]]:
    """Yield every model with sealed fields."""
    return (model for model in apps.get_models() if issubclass(model, SealedRow))


@cache
def sealed_fields(model: type[models.Model]) -> "tuple[SealedTextField, ...]":
    """Return the sealed fields of a model."""
    return tuple(field for field in model._meta.fields if isinstance(field, SealedTextField))


class _Stored(str):
    """A ciphertext from the database, as opposed to a plain value that is assigned."""

    __slots__ = ()


class _SealedAttribute(DeferredAttribute):
    """Encrypt on assignment, and return the stored ciphertext as a Sealed value."""

    field: "SealedTextField"

    def __get__(self, row: models.Model | None, owner: type[models.Model] | None = None) -> Any:
        if row is None:
            return self
        stored = super().__get__(row, owner)
        return stored if isinstance(stored, Sealed) else self.field.wrap(row, stored)

    def __set__(self, row: models.Model, value: Any) -> None:
        row.__dict__[self.field.attname] = self.field.seal(row, value)


class SealedTextField(models.TextField[Any, Any]):
    """A sealed string.

    digest_field: the column of its lookup digest, which is None if the secret is empty. Declare it before the sealed
    field, since a model's constructor sets fields in order of declaration.
    """

    descriptor_class = _SealedAttribute

    def __init__(self, *args: Any, digest_field: str = "", **kwargs: Any) -> None:
        defaults: dict[str, Any] = {"blank": True, "default": "", "editable": False}
        super().__init__(*args, **defaults | kwargs)
        self.digest_field = digest_field

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, kwargs | {"digest_field": self.digest_field}

    def dump(self, value: Any) -> str:
        return str(value)

    def load(self, plaintext: str) -> Any:
        return plaintext

    def context_of(self, row: models.Model) -> str:
        """The associated data: `<model>.<field>:<row uid>`."""
        return f"{row._meta.model_name}.{self.name}:{row.uid}"  # type: ignore[attr-defined]

    def wrap(self, row: models.Model, ciphertext: str) -> Sealed[Any]:
        return Sealed(ciphertext, self.context_of(row), self.load, lambda: self._name_in(row))

    def _name_in(self, row: models.Model) -> str:
        """Return how errors name it: "The client secret of OAuth app 7 (HubSpot for Acme)"."""
        return f"The {self.verbose_name} of {row._meta.verbose_name} {row.pk} ({row})"

    def seal(self, row: models.Model, value: Any) -> Any:
        """Encrypt an assigned plain value; return a ciphertext unchanged."""
        if isinstance(value, _Stored):
            return value
        if isinstance(value, Sealed):
            if value and value.context != self.context_of(row):
                raise TypeError(
                    f"{self.name}: this secret is bound to another row; reveal it first."
                )
            return value
        plaintext = self.dump(value) if value else ""
        if self.digest_field:
            setattr(row, self.digest_field, sealing.digest(plaintext) if plaintext else None)
        if not plaintext:
            # Wrapped when somebody reads it: most sealed fields of a new row are empty.
            return _Stored()
        return self.wrap(row, sealing.encrypt(plaintext, context=self.context_of(row)))

    def from_db_value(self, value: str | None, *_: Any) -> _Stored:
        return _Stored(value or "")

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value.ciphertext
        if isinstance(value, _Stored) or value == "":
            return str(value)
        raise TypeError(
            f"{self.name} is sealed: assign it on a row, which encrypts it for that row."
        )

    def get_lookup(self, lookup_name: str) -> Any:
        raise FieldError(f"{self.name} is sealed: look it up by its digest.")

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))

    def formfield(self, **kwargs: Any) -> None:
        """Return no form field: a sealed value is never sent to a browser."""
        return None


class SealedJSONField(SealedTextField):
    """A sealed JSON object; reveal() returns {} if nothing is stored."""

    def dump(self, value: Any) -> str:
        return json.dumps(value)

    def load(self, plaintext: str) -> Any:
        return json.loads(plaintext) if plaintext else {}
