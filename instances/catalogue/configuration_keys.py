"""Configuration keys: what an element asks of an account, and which of it is secret."""

import re
import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

# What the wire shows in place of a secret (contract 5); as a value it says nothing.
MASK = "********"
_COMMON_FILE = Path(__file__).with_name("common.toml")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_SECRET_WORDS = {"key", "code"}
_SECRET_ENDINGS = (
    "password",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
)


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


@cache
def common_configuration() -> tuple[ConfigurationKey, ...]:
    """The keys that an instance of any element may carry (contract 9)."""
    with _COMMON_FILE.open("rb") as file:
        return tuple(ConfigurationKey(**entry) for entry in tomllib.load(file)["configuration"])


def names_a_secret(key: str) -> bool:
    """Whether a key that no element declares must be treated as secret, by the words in its name.

    `oauth.api.key`, `userPassword` and `quickbase.apptoken` are; `monkey` and `keyword` are not.
    """
    words = [word.lower().removesuffix("s") for word in _WORD.findall(key)]
    return any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in words)
