"""Validate the fields of a way of authentication: their keys, secrecy, defaults and hints."""

import re
from collections.abc import Iterator

from pydantic_core import SchemaError

from instances.catalogue.configuration_keys import ConfigurationKey, KeyType, text_form

_CONFIGURATION_KEY = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
_LINK = re.compile(r"https://[^\s\"<>]+")
_TEXT_OF_TYPE = {
    KeyType.BOOLEAN: re.compile(r"true|false"),
    KeyType.INTEGER: re.compile(r"-?[0-9]+"),
    KeyType.URL: re.compile(r"https?://.+"),
}


def problems_of_field(field: ConfigurationKey) -> Iterator[tuple[str, str]]:
    """Yield the problems of one field, each with its place in it."""
    if not all(_CONFIGURATION_KEY.fullmatch(name) for name in field.names):
        yield (
            "key",
            f"{field.key}: must be letters and digits, with single dots, hyphens or underscores.",
        )
    if field.secret and field.not_secret_because:
        yield (
            "not_secret_because",
            f"{field.key}: is set although secret is true. Keep only one of them.",
        )
    if field.type in {KeyType.PASSWORD, KeyType.PRIVATE_KEY} and not field.secret:
        yield "secret", f"{field.key}: must be true for a {field.type}."
    elif field.looks_secret and not (field.secret or field.not_secret_because):
        yield (
            "secret",
            f"{field.key}: looks like a secret. Set secret = true, or explain in not_secret_because why it is not secret.",
        )
    yield from _problems_of_hints(field)
    if field.default is not None:
        yield from _problems_of_default(field)


def _problems_of_default(field: ConfigurationKey) -> Iterator[tuple[str, str]]:
    if field.options and field.default not in field.options:
        yield "default", f"{field.key}: must be one of its options: {', '.join(field.options)}."
    if (form := _TEXT_OF_TYPE.get(field.type)) and not form.fullmatch(field.default or ""):
        yield "default", f"{field.key}: is not a valid {field.type}."


def _problems_of_hints(field: ConfigurationKey) -> Iterator[tuple[str, str]]:
    """Check what forms say at the field."""
    if field.link and not _LINK.fullmatch(field.link):
        yield "link", f"{field.key}: must be the https:// address of a page."
    is_plain = field.type == KeyType.STRING and not field.secret and not field.options
    for name in ("prefix", "suffix"):
        if (text := getattr(field, name)) and not is_plain:
            yield name, f"{field.key}: only applies to a string without options that is not secret."
        elif text and (text.strip() != text or (name == "suffix" and "/" in text)):
            yield name, f"{field.key}: must have no blanks around it, and a suffix no slash."
    if not field.pattern:
        return
    try:
        text_form(field.pattern)
    except SchemaError as error:
        why = str(error).splitlines()[-1].strip().removeprefix("error: ").rstrip(".")
        yield "pattern", f"{field.key}: is not a regular expression that can be used: {why}."
        return
    if not field.example:
        yield "example", f"{field.key}: is missing. Who enters something else sees it (pattern)."
    for name in ("example", "default"):
        if (value := getattr(field, name)) and not field.matches(value):
            yield name, f"{field.key}: does not match the pattern."
