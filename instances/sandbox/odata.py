"""Evaluate $filter and $orderby on rows, as strictly as Dataverse does.

compiled_filter("revenue gt 5 and startswith(name,'a')", columns) returns a test of one row. Text compares without
regard to case.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

type Row = Mapping[str, Any]
type Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"|(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>[(),]))"
)
_COMPARISONS = {"eq", "ne", "lt", "gt", "le", "ge"}
_FUNCTIONS = {"contains", "startswith", "endswith"}
# Types of columns, and the kinds of literals that fit.
_FITTING = {
    "String": {"text"},
    "Number": {"number"},
    "Boolean": {"boolean"},
    "Instant": {"instant", "day"},
    "Date": {"day"},
    "Guid": {"guid"},
}


class ODataError(Exception):
    """A query option that Dataverse answers with 400."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def compiled_filter(text: str, columns: Mapping[str, str]) -> Test:
    """Compile a $filter.

    columns: the type of each column, a key of _FITTING. Raises ODataError.
    """
    return _Compiler(text, columns).compile()


def ordered(rows: list[dict[str, Any]], orderby: str, columns: Mapping[str, str]) -> None:
    """Sort rows in place; null comes first. Raises ODataError."""
    for part in reversed(orderby.split(",")):
        name, _, direction = part.strip().partition(" ")
        if direction.strip() not in {"", "asc", "desc"}:
            raise ODataError(f"Syntax error in $orderby at '{part.strip()}'.")
        kind = _kind_of(name, columns)
        rows.sort(key=partial(_sort_key, name, kind), reverse=direction.strip() == "desc")


def _sort_key(name: str, kind: str, row: Row) -> tuple[bool, Any]:
    value = row.get(name)
    return (value is not None, _comparable(value, kind) if value is not None else "")


def _kind_of(name: str, columns: Mapping[str, str]) -> str:
    if name not in columns:
        raise ODataError(f"Could not find a property named '{name}'.")
    return columns[name]


def _comparable(value: Any, kind: str) -> Any:
    if kind == "String":
        return str(value).casefold()
    if kind == "Instant":
        instant = datetime.fromisoformat(value)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return date.fromisoformat(value) if kind == "Date" else value


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise ODataError(f"Syntax error at position {at} in '{text}'.")
        yield _Token(str(found.lastgroup), found[str(found.lastgroup)])
        at = found.end()
    yield _Token("end", "")


class _Compiler:
    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        self._text = text
        self._columns = columns
        self._tokens = list(_tokens(text))
        self._at = 0

    def compile(self) -> Test:
        test = self._either()
        if self._next().kind != "end":
            raise self._error()
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self) -> Test:
        tests = [self._factor()]
        while self._take("and"):
            tests.append(self._factor())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _factor(self) -> Test:
        if self._take("not"):
            test = self._factor()
            return lambda row: not test(row)
        if self._take("("):
            test = self._either()
            self._require(")")
            return test
        word = self._next()
        if word.kind != "word":
            raise self._error()
        return self._function(word.text) if word.text in _FUNCTIONS else self._comparison(word.text)

    def _function(self, function: str) -> Test:
        self._require("(")
        name = self._next().text
        if _kind_of(name, self._columns) != "String":
            raise ODataError(f"No function signature for '{function}' matches '{name}'.")
        self._require(",")
        kind, value = self._literal()
        if kind != "text":
            raise ODataError(f"No function signature for '{function}' matches this value.")
        self._require(")")
        pattern = _pattern(function, value)
        return lambda row: pattern.fullmatch(row.get(name) or "") is not None

    def _comparison(self, name: str) -> Test:
        kind = _kind_of(name, self._columns)
        operator = self._next().text
        literal, value = self._literal()
        if operator not in _COMPARISONS:
            raise self._error()
        if literal == "null":
            if operator not in {"eq", "ne"}:
                raise self._error()
            return lambda row: (row.get(name) is None) is (operator == "eq")
        if literal not in _FITTING[kind]:
            raise ODataError(f"Incompatible types for operator '{operator}': {kind}, {literal}.")
        return partial(_compare, name, kind, operator, _comparable(value, kind))

    def _literal(self) -> tuple[str, Any]:
        token = self._next()
        match token.kind:
            case "text":
                return "text", token.text[1:-1].replace("''", "'")
            case "number":
                return "number", float(token.text)
            case "guid":
                return "guid", str(uuid.UUID(token.text))
            case "instant":
                return "instant", token.text
            case "day":
                return "day", f"{token.text}"
        if token.text in {"true", "false"}:
            return "boolean", token.text == "true"
        if token.text == "null":
            return "null", None
        raise self._error()

    def _next(self) -> _Token:
        self._at += 1
        return self._tokens[min(self._at, len(self._tokens)) - 1]

    def _take(self, text: str) -> bool:
        token = self._tokens[min(self._at, len(self._tokens) - 1)]
        is_next = token.kind in {"word", "mark"} and token.text == text
        self._at += is_next
        return is_next

    def _require(self, mark: str) -> None:
        if not self._take(mark):
            raise self._error()

    def _error(self) -> ODataError:
        return ODataError(f"Syntax error in '{self._text}' near token {self._at}.")


def _compare(name: str, kind: str, operator: str, wanted: Any, row: Row) -> bool:
    value = row.get(name)
    if value is None:
        return operator == "ne"
    value = _comparable(value, kind)
    match operator:
        case "eq":
            return bool(value == wanted)
        case "ne":
            return bool(value != wanted)
        case "lt":
            return bool(value < wanted)
        case "gt":
            return bool(value > wanted)
        case "le":
            return bool(value <= wanted)
    return bool(value >= wanted)


def _pattern(function: str, text: str) -> re.Pattern[str]:
    """Return the pattern of a text function, in which %, _ and [ ] are wildcards (those of SQL Server's LIKE)."""
    parts = []
    for found in re.finditer(r"\[([^\]]+)\]|%|_|.", text, re.DOTALL):
        if found[1]:
            parts.append(f"[{re.escape(found[1])}]")
        else:
            parts.append({"%": ".*", "_": "."}.get(found[0]) or re.escape(found[0]))
    begins = ".*" if function in {"contains", "endswith"} else ""
    ends = ".*" if function in {"contains", "startswith"} else ""
    return re.compile(f"{begins}{''.join(parts)}{ends}", re.IGNORECASE | re.DOTALL)
