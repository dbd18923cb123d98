"""Configuration keys of elements, and which of them are secret."""

import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from instances.redaction import is_secret_key

# Replaces secrets on the wire (contract 5). Received as a value, it counts as none.
MASK = "********"
# Of a value that is compared with a pattern, so that no comparison takes long.
MAX_PATTERN_CHARACTERS = 255
_COMMON_FILE = Path(__file__).with_name("common.toml")


class KeyType(StrEnum):
    """The type of a value; on the wire every value is a string (contract 5)."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    PASSWORD = "password"  # noqa: S105  a kind of input
    # A PEM text, perhaps with its certificate, or a file that holds both.
    PRIVATE_KEY = "private_key"
    URL = "url"
    LIST = "list"


class ConfigurationKey(BaseModel):
    """One configuration key, and how forms ask for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    label: str
    type: KeyType = KeyType.STRING
    required: bool = False
    secret: bool = False
    # Why a key whose name looks secret holds nothing secret.
    not_secret_because: str = ""
    # A key with a default is never missing.
    default: str | None = None
    options: tuple[str, ...] = ()
    # Other keys whose value is accepted for this one.
    aliases: tuple[str, ...] = ()
    # Patterns (hosts.py) of the provider's hosts, for a key that can become part of a host. Empty: none known; None: not
    # stated.
    hosts: tuple[str, ...] | None = None
    # What forms say at the field: help, a value that could be entered, and the provider's page about it.
    description: str = ""
    example: str = ""
    link: str = ""
    # What surrounds the value, such as https:// and .example.com; it may be entered along with it.
    prefix: str = ""
    suffix: str = ""
    # A regular expression (text_form()) that the whole value must match, without prefix and suffix.
    pattern: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The key, followed by its aliases."""
        return (self.key, *self.aliases)

    @property
    def password_names(self) -> dict[str, str]:
        """The keys of the password that opens a key file, by the key of the file. It is used once, and never stored."""
        is_file = self.type == KeyType.PRIVATE_KEY
        return {name: f"{name}.password" for name in self.names} if is_file else {}

    @property
    def looks_secret(self) -> bool:
        """Whether its name looks like a secret; a boolean never does."""
        return self.type != KeyType.BOOLEAN and any(map(is_secret_key, self.names))

    @property
    def is_secret(self) -> bool:
        """Whether its value is sealed and masked.

        Decided by declaration, or by its name unless not_secret_because is set.
        """
        is_declared = self.secret or self.type in {KeyType.PASSWORD, KeyType.PRIVATE_KEY}
        return is_declared or (self.looks_secret and not self.not_secret_because)

    def bare(self, value: str) -> str:
        """Return a value without the prefix and the suffix, as it is sent."""
        text = value.strip()
        if self.prefix and text.lower().startswith(self.prefix.lower()):
            text = text[len(self.prefix) :]
        start = text.partition("/")[0]
        if self.suffix and start.lower().endswith(self.suffix.lower()):
            text = start[: -len(self.suffix)]
        return text or value

    def matches(self, value: str) -> bool:
        """Whether a value has the form that the provider expects, if that is stated."""
        bare = self.bare(value)
        if not self.pattern or len(bare) > MAX_PATTERN_CHARACTERS:
            return not self.pattern
        try:
            text_form(self.pattern).validate_python(bare)
        except ValidationError:
            return False
        return True


@cache
def text_form(pattern: str) -> TypeAdapter[str]:
    """Return what accepts the texts that match a regular expression as a whole.

    Not the standard library's: some of its expressions take years for a text of 40 characters. This one, of Rust's regex,
    takes a time in proportion to the text, and has neither look-around nor back-references.

    Raises pydantic_core.SchemaError if it is not a regular expression.
    """
    # By itself first: “a)|(b” would end our group.
    TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    return TypeAdapter(Annotated[str, StringConstraints(pattern=rf"\A(?:{pattern})\z")])


@cache
def common_configuration() -> tuple[ConfigurationKey, ...]:
    """Return the keys that instances of any element may have (contract 9)."""
    with _COMMON_FILE.open("rb") as file:
        return tuple(ConfigurationKey(**entry) for entry in tomllib.load(file)["configuration"])
