"""Parse CEQL, the conditions of a `where` (contract for hubs, 5.1).

    or   = and *( "OR" and )
    and  = term *( "AND" term )
    term = "(" or ")" / name op value / name "LIKE" value / name "IN" "(" value *( "," value ) ")"
         / name "IS" [ "NOT" ] "NULL"

parse("name LIKE 'Har%' AND revenue >= 5") is a Junction of two conditions. str() of a condition is CEQL again.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn

from instances.errors import InvalidConditionError

MAX_CHARACTERS = 8192
MAX_DEPTH = 50
MAX_TERMS = 500
_TOKEN = re.compile(
    r"""\s*(?:(?P<operator><=|>=|<>|!=|=|<|>)|(?P<mark>[(),])"""
    r"""|'(?P<single>(?:[^']|'')*)'|"(?P<double>(?:[^"]|"")*)"|`(?P<tick>[^`]+)`"""
    r"""|(?P<word>[^\s"'`<>=!(),]+))"""
)
_NEITHER_NAME_NOR_VALUE = {"AND", "OR"}

type Operator = Literal["=", "!=", "<", ">", "<=", ">="]


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it was written; a bare one may be a number, a boolean or a date."""

    text: str
    is_quoted: bool

    def __str__(self) -> str:
        return _quoted(self.text) if self.is_quoted else self.text


@dataclass(frozen=True, slots=True)
class _Predicate(ABC):
    """What is said of one field. _said: the condition without the name."""

    name: str

    @property
    @abstractmethod
    def _said(self) -> str: ...

    def __str__(self) -> str:
        return f"{_name(self.name)} {self._said}"


@dataclass(frozen=True, slots=True)
class Comparison(_Predicate):
    operator: Operator
    value: Value

    @property
    def _said(self) -> str:
        return f"{self.operator} {self.value}"


@dataclass(frozen=True, slots=True)
class Like(_Predicate):
    """% stands for any characters, also none; nothing else is special."""

    pattern: Value

    @property
    def _said(self) -> str:
        return f"LIKE {self.pattern}"


@dataclass(frozen=True, slots=True)
class In(_Predicate):
    values: tuple[Value, ...]

    @property
    def _said(self) -> str:
        return f"IN ({', '.join(map(str, self.values))})"


@dataclass(frozen=True, slots=True)
class IsNull(_Predicate):
    is_null: bool

    @property
    def _said(self) -> str:
        return "IS NULL" if self.is_null else "IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Junction:
    """Two or more conditions, joined by AND or OR."""

    operator: Literal["AND", "OR"]
    terms: "tuple[Condition, ...]"

    def __str__(self) -> str:
        return f" {self.operator} ".join(
            f"({term})" if isinstance(term, Junction) else str(term) for term in self.terms
        )


type Term = Comparison | Like | In | IsNull
type Condition = Term | Junction


def parse(text: str) -> Condition:
    """Parse a condition. Raises InvalidConditionError, which names the position of the error."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidConditionError(
            f"Error parsing query: it is longer than {MAX_CHARACTERS} characters"
        )
    return _Parser(text).parse()


@dataclass(frozen=True, slots=True)
class _Token:
    """kind: operator, mark, word, quoted, tick or end. column: counted from 1."""

    kind: str
    text: str
    column: int

    @property
    def keyword(self) -> str:
        return self.text.upper() if self.kind in {"word", "mark"} else ""


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise _error(f"unexpected {text[at]} at column {at + 1}")
        kind, inner = str(found.lastgroup), found[str(found.lastgroup)]
        column = found.end() - len(found[0].lstrip()) + 1
        if kind in {"single", "double"}:
            mark = "'" if kind == "single" else '"'
            kind, inner = "quoted", inner.replace(mark * 2, mark)
        yield _Token(kind, inner, column)
        at = found.end()
    yield _Token("end", "", end + 1)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0
        self._terms = 0

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def parse(self) -> Condition:
        tree = self._disjunction()
        self._require("end", "AND, OR or the end")
        return tree

    def _disjunction(self) -> Condition:
        return self._junction("OR", self._conjunction)

    def _conjunction(self) -> Condition:
        return self._junction("AND", self._term)

    def _junction(self, operator: Literal["AND", "OR"], part: Callable[[], Condition]) -> Condition:
        terms = [part()]
        while self._take(operator):
            terms.append(part())
        return terms[0] if len(terms) == 1 else Junction(operator, tuple(terms))

    def _term(self) -> Condition:
        if self._take("("):
            return self._in_brackets()
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise _error(f"it has more than {MAX_TERMS} conditions")
        name = self._name()
        if self._token.kind == "operator":
            operator = self._next().text.replace("<>", "!=")
            return Comparison(name, operator, self._value())  # type: ignore[arg-type]
        if self._take("LIKE"):
            return Like(name, self._value())
        if self._take("IN"):
            return In(name, self._values())
        if self._take("IS"):
            is_null = not self._take("NOT")
            self._take("NULL") or self._fail("NULL")
            return IsNull(name, is_null)
        self._fail("an operator")

    def _in_brackets(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _error(f"brackets are nested more than {MAX_DEPTH} deep")
        tree = self._disjunction()
        self._take(")") or self._fail("a closing bracket")
        self._depth -= 1
        return tree

    def _name(self) -> str:
        if not self._written("a field name").text:
            self._fail("a field name")
        return self._next().text

    def _value(self) -> Value:
        token = self._written("a value")
        if token.keyword == "NULL":
            raise _error(f"use IS NULL or IS NOT NULL in place of NULL at column {token.column}")
        return Value(self._next().text, is_quoted=token.kind != "word")

    def _written(self, expected: str) -> _Token:
        """Return the next token, if it can be a name or a value."""
        token = self._token
        is_written = token.kind in {"word", "quoted", "tick"}
        if not is_written or token.keyword in _NEITHER_NAME_NOR_VALUE:
            self._fail(expected)
        return token

    def _values(self) -> tuple[Value, ...]:
        self._take("(") or self._fail("an opening bracket")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._take(")") or self._fail("a comma or a closing bracket")
        return tuple(values)

    def _next(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, keyword: str) -> bool:
        """Step over a keyword or a mark, if it comes next."""
        is_next = self._token.keyword == keyword
        self._at += is_next
        return is_next

    def _require(self, kind: str, expected: str) -> None:
        if self._token.kind != kind:
            self._fail(expected)

    def _fail(self, expected: str) -> NoReturn:
        token = self._token
        found = "the end" if token.kind == "end" else f"“{token.text[:40]}”"
        raise _error(f"expected {expected} at column {token.column}, found {found}")


def _error(why: str) -> InvalidConditionError:
    return InvalidConditionError(f"Error parsing query: {why}")


def _quoted(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def _name(name: str) -> str:
    is_plain = re.fullmatch(r"[\w.$:-]+", name) and name.upper() not in _NEITHER_NAME_NOR_VALUE
    return name if is_plain else _quoted(name)
