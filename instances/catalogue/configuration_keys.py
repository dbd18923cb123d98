"""Configuration keys: what an element asks of an account, and which of it is secret."""

import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from instances.redaction import is_secret_key

# What the wire shows in place of a secret (contract 5); as a value it says nothing.
MASK = "********"
_COMMON_FILE = Path(__file__).with_name("common.toml")


class KeyType(StrEnum):
    """What a value is; on the wire every value is a string (contract 5)."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    PASSWORD = "password"  # noqa: S105  a kind of input
    URL = "url"
    LIST = "list"


class ConfigurationKey(BaseModel):
    """One configuration key, and how a form asks for it.

    aliases: other keys whose value satisfies this one. not_secret_because: why a key whose name looks secret
    holds nothing secret. A key with a default is never missing. hosts: patterns (hosts.py) of the provider's hosts,
    for a key that can become part of a host; empty: none are known. None: not stated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    label: str
    type: KeyType = KeyType.STRING
    required: bool = False
    secret: bool = False
    not_secret_because: str = ""
    default: str | None = None
    options: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None
    description: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The key and its aliases, the key first."""
        return (self.key, *self.aliases)

    @property
    def looks_secret(self) -> bool:
        """Whether it is named like a secret; what is true or false is none."""
        return self.type != KeyType.BOOLEAN and any(map(is_secret_key, self.names))

    @property
    def is_secret(self) -> bool:
        """Whether its value is sealed and masked: by declaration, or by its name where nothing says why not."""
        is_declared = self.secret or self.type == KeyType.PASSWORD
        return is_declared or (self.looks_secret and not self.not_secret_because)


@cache
def common_configuration() -> tuple[ConfigurationKey, ...]:
    """The keys that an instance of any element may carry (contract 9)."""
    with _COMMON_FILE.open("rb") as file:
        return tuple(ConfigurationKey(**entry) for entry in tomllib.load(file)["configuration"])
