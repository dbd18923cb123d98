"""Match the configuration keys of a file with those of its elements: case does not matter, and typing errors are told."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property

from instances.bulk.files.lines import FileRow
from instances.catalogue.configuration_keys import ConfigurationKey
from instances.catalogue.definition import ElementDefinition
from instances.errors import UnknownElementError
from instances.provisioning.elements import find_element
from instances.provisioning.plan import OAUTH1_TOKEN_KEYS, OAUTH_APP_KEYS, TOKEN_KEYS

MAX_NOTES = 20
_MAX_REMEMBERED = 1_000
# In place of what differs between "API Key", "api_key" and "api.key (secret)".
_NOT_COMPARED = re.compile(r"\(.*?\)|[\W_]")


@dataclass(frozen=True)
class ElementKeys:
    """The configuration keys that an element knows."""

    definition: ElementDefinition

    @cached_property
    def _by_lower_case(self) -> dict[str, str]:
        known = (*OAUTH_APP_KEYS, *TOKEN_KEYS, *OAUTH1_TOKEN_KEYS, *self.definition.declared_keys)
        passwords = (name for field in self._fields for name in field.password_names.values())
        return {key.lower(): key for key in (*known, *passwords)}

    @property
    def _fields(self) -> list[ConfigurationKey]:
        return [field for way in self.definition.authentication for field in way.fields]

    @cached_property
    def _by_likeness(self) -> dict[str, str]:
        """The keys by how they, and their labels, are compared."""
        labels = {_compared(field.label): field.key for field in self._fields}
        return labels | {_compared(key): key for key in self._by_lower_case.values()}

    def known(self, key: str) -> str | None:
        """Return the key as the element writes it; None if it does not know it."""
        return self._by_lower_case.get(key.lower())

    def suggestion(self, key: str) -> str | None:
        """Return the key that was probably meant."""
        near = get_close_matches(_compared(key), self._by_likeness, n=1, cutoff=0.7)
        return self._by_likeness[near[0]] if near else None

    def describe_unknown(self, keys: Iterable[str]) -> str:
        """Name the unknown ones among these keys, with suggestions; empty if all are known."""
        unknown = [key for key in keys if self.known(key) is None]
        return " ".join(self._describe(key) for key in unknown[:MAX_NOTES])

    def _describe(self, key: str) -> str:
        sentence = f"{self.definition.key} has no key “{key[:100]}”."
        meant = self.suggestion(key)
        return f"{sentence} Did you mean “{meant}”?" if meant else sentence


class ColumnMatcher:
    """Matches the rows of a file, and looks up each of their elements once."""

    def __init__(self) -> None:
        self._elements: dict[str, ElementKeys | None] = {}
        self._unknown: dict[tuple[str, str], ElementKeys] = {}

    def match(self, row: FileRow) -> FileRow:
        """Return the row with the keys as its element writes them.

        A row of which two keys are the same has an error. Unknown keys are kept, and remembered for the notes.
        """
        keys = self._keys_for(row)
        given: Mapping[str, object] = row.body.get("configuration") or {}
        if row.error or keys is None or not given:
            return row
        names = {key: keys.known(key) for key in given}
        for key, name in names.items():
            if name is None and len(self._unknown) < _MAX_REMEMBERED:
                self._unknown.setdefault((keys.definition.key, key), keys)
        if all(name in {key, None} for key, name in names.items()):
            return row
        matched = {names[key] or key: value for key, value in given.items()}
        if len(matched) < len(given):
            return replace(row, error=f"Row {row.number}: {_twice(names)}")
        return replace(row, body=row.body | {"configuration": matched})

    def definition_for(self, row: FileRow) -> ElementDefinition | None:
        """Return the element that a row names; None if there is no such element."""
        keys = self._keys_for(row)
        return keys.definition if keys else None

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each unknown key."""
        for (_, key), keys in list(self._unknown.items())[:MAX_NOTES]:
            yield f"{keys.describe_unknown([key])} Its values are kept as they are."
        if len(self._unknown) > MAX_NOTES:
            yield "More keys are unknown."

    def _keys_for(self, row: FileRow) -> ElementKeys | None:
        named = row.body.get("element") or {}
        element = str(named.get("key") or named.get("id") or "")
        if element not in self._elements:
            try:
                self._elements[element] = ElementKeys(find_element(element).parsed)
            except UnknownElementError:
                # The row fails with that, in the dry run and in the job.
                self._elements[element] = None
        return self._elements[element]


def _twice(names: Mapping[str, str | None]) -> str:
    alike: dict[str, list[str]] = {}
    for key, name in names.items():
        alike.setdefault(name or key, []).append(key)
    same = next(keys for keys in alike.values() if len(keys) > 1)
    return f"{' and '.join(same)} are the same key. Remove one of them."


def _compared(text: str) -> str:
    return _NOT_COMPARED.sub("", text.lower())
