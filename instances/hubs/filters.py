"""Write conditions in the provider's own language.

Only parts of the parsed tree are written: names that the metadata has, and values in the type of their field. What the
provider cannot express is refused, and the refusal names the condition.
"""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from instances.errors import HubCallRefusedError, InvalidConditionError
from instances.hubs.ceql import Comparison, Condition, In, IsNull, Junction, Like, Operator, Term
from instances.hubs.fields import Field, FieldType, ObjectMetadata
from instances.hubs.values import Number, TypedValue, iso_instant, typed_value

MAX_LISTED_VALUES = 50
_ORDERED = {FieldType.TEXT, FieldType.NUMBER, FieldType.DATE, FieldType.DATETIME}
_EQUALITY = {"=", "!="}


class Filter(ABC):
    """Write conditions on one object. wrap: may precede the names of fields, as in "attributes.lastname"."""

    junctions: ClassVar[dict[str, str]]

    def __init__(self, metadata: ObjectMetadata, *, wrap: str | None = None) -> None:
        self._metadata = metadata
        self._wrap = wrap

    def write(self, condition: Condition) -> str:
        """Write a condition. Raises InvalidConditionError."""
        if isinstance(condition, Junction):
            return self._junction(condition)
        try:
            field = self._metadata.field(condition.name, wrap=self._wrap)
            if not field.is_filterable or field.type == FieldType.OTHER:
                raise InvalidConditionError(f"{field.name} cannot be filtered by")
            return self._term(field, condition)
        except (InvalidConditionError, HubCallRefusedError) as error:
            raise InvalidConditionError(
                f"The condition “{str(condition)[:300]}” cannot be used: {error}"
            ) from None

    def _junction(self, junction: Junction) -> str:
        word = self.junctions[junction.operator]
        return f" {word} ".join(
            f"({self.write(term)})" if isinstance(term, Junction) else self.write(term)
            for term in junction.terms
        )

    def _term(self, field: Field, term: Term) -> str:
        column = self.column(field)
        match term:
            case IsNull():
                return self._null(column, term)
            case Comparison():
                if term.operator not in _EQUALITY and field.type not in _ORDERED:
                    raise InvalidConditionError(f"{field.name} has no order; use =, != or IN")
                return self._comparison(column, term.operator, self._typed(field, term))
            case In():
                literals = [self._literal(typed_value(field, value)) for value in term.values]
                return self._listed(column, literals)
            case Like():
                if field.type != FieldType.TEXT:
                    raise InvalidConditionError(f"LIKE needs a text, and {field.name} is none")
                return self._like(column, term.pattern.text)

    def _typed(self, field: Field, term: Comparison) -> str:
        return self._literal(typed_value(field, term.value))

    def column(self, field: Field) -> str:
        """Return the name of a field in conditions, selections and orders."""
        return field.name

    @abstractmethod
    def _null(self, column: str, term: IsNull) -> str: ...

    @abstractmethod
    def _comparison(self, column: str, operator: Operator, literal: str) -> str: ...

    @abstractmethod
    def _listed(self, column: str, literals: Sequence[str]) -> str: ...

    @abstractmethod
    def _like(self, column: str, pattern: str) -> str: ...

    @abstractmethod
    def _literal(self, value: TypedValue) -> str: ...


class ODataFilter(Filter):
    """OData 4.0, as Dataverse understands it (contract for hubs, 8)."""

    junctions = {"AND": "and", "OR": "or"}
    _OPERATORS: ClassVar = {"=": "eq", "!=": "ne", "<": "lt", ">": "gt", "<=": "le", ">=": "ge"}
    # Wildcards within contains(), startswith() and endswith().
    _WILDCARDS: ClassVar = str.maketrans({"_": "[_]", "[": "[[]"})

    def column(self, field: Field) -> str:
        return f"_{field.name}_value" if field.type == FieldType.LOOKUP else field.name

    def _null(self, column: str, term: IsNull) -> str:
        return f"{column} {'eq' if term.is_null else 'ne'} null"

    def _comparison(self, column: str, operator: Operator, literal: str) -> str:
        return f"{column} {self._OPERATORS[operator]} {literal}"

    def _listed(self, column: str, literals: Sequence[str]) -> str:
        if len(literals) > MAX_LISTED_VALUES:
            raise InvalidConditionError(f"IN takes at most {MAX_LISTED_VALUES} values")
        return "({})".format(" or ".join(f"{column} eq {literal}" for literal in literals))

    def _like(self, column: str, pattern: str) -> str:
        inner = pattern.strip("%")
        if "%" in inner:
            raise InvalidConditionError("% can only be at the beginning and at the end")
        if not inner:
            return f"{column} ne null" if pattern else f"{column} eq ''"
        text = self._literal(inner.translate(self._WILDCARDS))
        match pattern.startswith("%"), pattern.endswith("%"):
            case True, True:
                return f"contains({column},{text})"
            case False, True:
                return f"startswith({column},{text})"
            case True, False:
                return f"endswith({column},{text})"
        return f"{column} eq {self._literal(inner)}"

    def _literal(self, value: TypedValue) -> str:
        match value:
            case bool():
                return "true" if value else "false"
            case datetime():
                return iso_instant(value)
            case Number() | uuid.UUID():
                return str(value)
            case str():
                return "'{}'".format(value.replace("'", "''"))
        return value.isoformat()


class SoqlFilter(Filter):
    """Salesforce's SOQL."""

    junctions = {"AND": "AND", "OR": "OR"}
    _ESCAPES: ClassVar = str.maketrans(
        {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
    )
    # Within LIKE, an underscore is a wildcard too.
    _LIKE_ESCAPES: ClassVar = _ESCAPES | {ord("_"): "\\_"}

    def _null(self, column: str, term: IsNull) -> str:
        return f"{column} {'=' if term.is_null else '!='} null"

    def _comparison(self, column: str, operator: Operator, literal: str) -> str:
        return f"{column} {operator} {literal}"

    def _listed(self, column: str, literals: Sequence[str]) -> str:
        return f"{column} IN ({', '.join(literals)})"

    def _like(self, column: str, pattern: str) -> str:
        return f"{column} LIKE '{pattern.translate(self._LIKE_ESCAPES)}'"

    def _literal(self, value: TypedValue) -> str:
        match value:
            case bool():
                return "TRUE" if value else "FALSE"
            case datetime():
                return iso_instant(value)
            case Number() | uuid.UUID():
                return str(value)
            case str():
                return f"'{value.translate(self._ESCAPES)}'"
        return value.isoformat()
