"""Normalise the values of a configuration, and split them into columns."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from instances.catalogue.assertions import Assertion
from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.configuration_keys import MASK, KeyType
from instances.catalogue.definition import ElementDefinition
from instances.crypto.key_files import opened_key_file
from instances.crypto.keys import UnusableKeyError, check_signing_key
from instances.errors import InvalidConfigurationError
from instances.pasted import trimmed, trimmed_password
from instances.redaction import storable

MAX_VALUE_CHARACTERS = 20_000
# Other invisible characters have a meaning inside a word, in Persian for example.
_NEVER_INSIDE = frozenset("\u200b\u2060\ufeff")
_PASSWORD = re.compile(r"passw(or)?d|passphrase", re.IGNORECASE)


def normalise_configuration(
    authentication: AuthenticationType, given: Mapping[str, Any]
) -> dict[str, str]:
    """Convert the given values to strings, as the API returns them (contract 5).

    Empty values and masks are left out; unknown keys are kept (contract 1).

    Raises InvalidConfigurationError for the first invalid value.
    """
    types = {name: field.type for field in authentication.fields for name in field.names}
    options = {field.key: field.options for field in authentication.fields if field.options}
    passwords = {k: v for field in authentication.fields for k, v in field.password_names.items()}
    patterned = {n: field for field in authentication.fields if field.pattern for n in field.names}
    normalised = {}
    for key, value in given.items():
        if storable(key) != key:
            raise InvalidConfigurationError(
                storable(key), "the key contains a character that cannot be stored."
            )
        text = _trimmed_value(key, _to_text(key, value))
        if text in {"", MASK} or key in passwords.values():
            continue
        _check_form(key, text, types.get(key, KeyType.STRING))
        if key in options and text not in options[key]:
            raise InvalidConfigurationError(key, f"must be one of: {', '.join(options[key])}.")
        if key in patterned and not patterned[key].matches(text):
            raise InvalidConfigurationError(key, f"must look like {patterned[key].example}.")
        if key in passwords and authentication.assertion:
            password = _to_text(passwords[key], given.get(passwords[key]))
            text = _checked_private_key(key, text, password, authentication.assertion)
        normalised[key] = text.lower() if types.get(key) == KeyType.BOOLEAN else text
    return normalised


def split_secrets(
    definition: ElementDefinition, configuration: Mapping[str, str]
) -> dict[str, Any]:
    """Split a configuration into columns: queryable plain keys and sealed secrets."""
    secret = {key: value for key, value in configuration.items() if definition.is_secret(key)}
    return {
        "configuration": {k: v for k, v in configuration.items() if k not in secret},
        "secret_configuration": secret,
        "secret_keys": sorted(secret),
    }


def _trimmed_value(key: str, text: str) -> str:
    """Trim a pasted id, key or secret.

    A password may begin or end with a blank, but not with a line end or an invisible character.

    Raises InvalidConfigurationError for an invisible character inside, which nobody can see to remove.
    """
    text = trimmed_password(text) if _PASSWORD.search(key) else trimmed(text)
    if not text.isascii() and (inside := set(text) & _NEVER_INSIDE):
        code = f"U+{ord(min(inside)):04X}"
        raise InvalidConfigurationError(
            key,
            f"contains an invisible character ({code}). Type it again, or paste it as plain text.",
        )
    return text


def _to_text(key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    if len(text) > MAX_VALUE_CHARACTERS:
        raise InvalidConfigurationError(key, f"is longer than {MAX_VALUE_CHARACTERS} characters.")
    if storable(text) != text:
        raise InvalidConfigurationError(key, "contains a character that cannot be stored.")
    return text


def _checked_private_key(key: str, text: str, password: str, assertion: Assertion) -> str:
    """Return a private key as it is stored: what a key file holds, and any other text as it is."""
    try:
        opened = opened_key_file(text, password)
        pem, _ = assertion.read(opened)
        signing_key = check_signing_key(pem, assertion.algorithm)
    except UnusableKeyError as error:
        raise InvalidConfigurationError(key, str(error)) from None
    if assertion.sends_thumbprint and signing_key.certificate is None:
        raise InvalidConfigurationError(
            key,
            "has no certificate. Paste the certificate, from -----BEGIN CERTIFICATE----- on, after the private key, or "
            "choose a key file that holds both.",
        )
    return text if opened == text else signing_key.to_pem()


def _check_form(key: str, text: str, form: KeyType) -> None:
    if form == KeyType.BOOLEAN and text.lower() not in {"true", "false"}:
        raise InvalidConfigurationError(key, "must be true or false.")
    if form == KeyType.INTEGER and not text.lstrip("-").isdecimal():
        raise InvalidConfigurationError(key, "must be a whole number.")
    if form == KeyType.URL:
        try:
            parts = urlsplit(text)
            is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            is_url = False
        if not is_url:
            raise InvalidConfigurationError(
                key, "must be a URL that begins with https:// or http://."
            )
