"""Parse and evaluate the SOQL that a stub of Salesforce gets, as strictly as Salesforce does."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

type Row = Mapping[str, Any]
type Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')"
    r"|(?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z)"
    r"|(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark><=|>=|!=|[=<>(),]))"
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "\\": "\\", "'": "'", '"': '"'}
_LITERALS = {"text", "instant", "day", "number"}


class SoqlError(Exception):
    """Salesforce answers MALFORMED_QUERY or INVALID_FIELD."""


@dataclass
class Query:
    """columns: empty for COUNT()."""

    columns: list[str]
    object: str
    matches: Test
    order: list[tuple[str, bool]]
    limit: int
    offset: int


def parse_soql(text: str, types: Mapping[str, Mapping[str, str]]) -> Query:
    """types: of the columns of each object: text, number, boolean, date, datetime. Raises SoqlError."""
    return _Parser(text, types).parse()


def parse_condition(text: str, columns: Mapping[str, str]) -> Test:
    text = "SELECT Id FROM X WHERE " + text  # noqa: S608  a stub parses it
    return _Parser(text, {"X": columns | {"Id": "text"}}).parse().matches


class _Parser:
    def __init__(self, text: str, types: Mapping[str, Mapping[str, str]]) -> None:
        self.tokens: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if not found:
                raise SoqlError(f"unexpected token: {text[at : at + 20]}")
            self.tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()
        self.tokens.append(("end", ""))
        self.at = 0
        self.types = types
        self.columns: Mapping[str, str] = {}

    def parse(self) -> Query:
        self.require("SELECT")
        selected = [] if self.take("COUNT") else self.names()
        if not selected:
            self.require("(")
            self.require(")")
        self.require("FROM")
        name = self.next()[1]
        if name not in self.types:
            raise SoqlError(f"sObject type '{name}' is not supported")
        self.columns = self.types[name]
        matches = self.either() if self.take("WHERE") else lambda row: True
        order: list[tuple[str, bool]] = []
        if self.take("ORDER"):
            self.require("BY")
            order.append(self.ordered())
            while self.take(","):
                order.append(self.ordered())
        limit = int(self.number()) if self.take("LIMIT") else 50_000
        offset = int(self.number()) if self.take("OFFSET") else 0
        if offset > 2000:
            raise SoqlError("Maximum SOQL offset allowed is 2000")
        if self.next()[0] != "end":
            raise SoqlError("unexpected token")
        for column in selected:
            self.known(column)
        return Query(selected, name, matches, order, limit, offset)

    def names(self) -> list[str]:
        names = [self.word()]
        while self.take(","):
            names.append(self.word())
        return names

    def ordered(self) -> tuple[str, bool]:
        name = self.known(self.word())
        return name, bool(self.take("DESC") or (self.take("ASC") and False))

    def either(self) -> Test:
        tests = [self.term()]
        joiner = ""
        while self.peek() in {"AND", "OR"}:
            word = self.next()[1].upper()
            if joiner and word != joiner:
                raise SoqlError("AND and OR need brackets")
            joiner = word
            tests.append(self.term())
        if joiner == "OR":
            return lambda row: any(test(row) for test in tests)
        return lambda row: all(test(row) for test in tests)

    def term(self) -> Test:
        if self.take("("):
            test = self.either()
            self.require(")")
            return test
        name = self.known(self.word())
        kind = self.columns[name]
        if self.take("LIKE"):
            if kind != "text":
                raise SoqlError("invalid operator")
            pattern = self.pattern()
            return lambda row: row[name] is not None and bool(pattern.fullmatch(row[name]))
        if self.take("IN"):
            self.require("(")
            values = [self.literal(kind)]
            while self.take(","):
                values.append(self.literal(kind))
            self.require(")")
            return lambda row: row[name] is not None and _comparable(row[name], kind) in values
        operator = self.next()[1]
        if operator not in {"=", "!=", "<", ">", "<=", ">="}:
            raise SoqlError(f"unexpected token: {operator}")
        if self.take("NULL"):
            return lambda row: (row[name] is None) is (operator == "=")
        wanted = self.literal(kind)
        return lambda row: _compares(row[name], operator, wanted, kind)

    def pattern(self) -> re.Pattern[str]:
        token, text = self.next()
        if token != "text":
            raise SoqlError("invalid operator")
        return _pattern(text[1:-1])

    def literal(self, kind: str) -> Any:
        token, text = self.next()
        fitting = {"text": "text", "number": "number", "date": "day", "datetime": "instant"}
        if kind == "boolean" and text.upper() in {"TRUE", "FALSE"}:
            return text.upper() == "TRUE"
        if token not in _LITERALS or token != fitting.get(kind):
            raise SoqlError(f"value of filter criterion must be of type {kind}: {text}")
        if token == "text":
            return _unescaped(text[1:-1]).casefold()
        return float(text) if token == "number" else _comparable(text, kind)

    def known(self, name: str) -> str:
        if name not in self.columns:
            raise SoqlError(f"No such column '{name}'")
        return name

    def word(self) -> str:
        kind, text = self.next()
        if kind != "word":
            raise SoqlError(f"unexpected token: {text}")
        return text

    def number(self) -> str:
        kind, text = self.next()
        if kind != "number":
            raise SoqlError(f"unexpected token: {text}")
        return text

    def next(self) -> tuple[str, str]:
        self.at += 1
        return self.tokens[min(self.at, len(self.tokens)) - 1]

    def peek(self) -> str:
        kind, text = self.tokens[min(self.at, len(self.tokens) - 1)]
        return text.upper() if kind in {"word", "mark"} else ""

    def take(self, word: str) -> bool:
        is_next = self.peek() == word
        self.at += is_next
        return is_next

    def require(self, word: str) -> None:
        if not self.take(word):
            raise SoqlError(f"expected {word}")


def _compares(value: Any, operator: str, wanted: Any, kind: str) -> bool:
    if value is None:
        return operator == "!="
    value = _comparable(value, kind)
    results = {
        "=": value == wanted, "!=": value != wanted, "<": value < wanted, ">": value > wanted,
        "<=": value <= wanted, ">=": value >= wanted,
    }  # fmt: skip
    return bool(results[operator])


def _comparable(value: Any, kind: str) -> Any:
    if kind == "text":
        return value.casefold()
    if kind == "datetime":
        return datetime.fromisoformat(value).astimezone(UTC)
    return date.fromisoformat(value) if kind == "date" else value


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise SoqlError("invalid escape sequence")
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", one, text, flags=re.DOTALL)


def _pattern(text: str) -> re.Pattern[str]:
    r"""Read the pattern of a LIKE. Escapes are read once: in '\\%', the backslash is itself, and % a wildcard."""
    wild = {"%": ".*", "_": "."}
    written = []
    for part in re.findall(r"\\.|.", text, re.DOTALL):
        is_wildcard_itself = part in {"\\_", "\\%"}
        plain = part[1] if is_wildcard_itself else _unescaped(part)
        written.append(wild.get(part) or re.escape(plain))
    return re.compile("".join(written), re.IGNORECASE | re.DOTALL)
