"""Write conditions as query parameters, for providers without a language for them (contract for hubs, 5.1 and 14.1)."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from instances.catalogue.hub_api import ParameterFilter
from instances.errors import InvalidConditionError
from instances.hubs.ceql import Comparison, Condition, In, IsNull, Junction, Like, Term, Value
from instances.hubs.fields import Field, FieldType
from instances.hubs.values import Number, TypedValue, iso_instant, typed_value

_SEPARATOR = ","


class ParameterFilters:
    """What the lists of one resource can be narrowed by. wrap: may precede the names of fields."""

    def __init__(self, filters: Sequence[ParameterFilter], *, wrap: str | None = None) -> None:
        self._filters = filters
        self._wrap = wrap

    def write(self, condition: Condition) -> dict[str, str]:
        """Return the parameters that mean a condition. Raises InvalidConditionError, which names what has none."""
        parameters: dict[str, str] = {}
        for term in _terms(condition):
            try:
                name, text = self._parameter(term)
                if name in parameters:
                    raise InvalidConditionError("there is another one that it would replace")
            except InvalidConditionError as error:
                raise _refusal(term, str(error)) from None
            parameters[name] = text
        return parameters

    def _parameter(self, term: Term) -> tuple[str, str]:
        operator, values = _operator_and_values(term)
        name = term.name.removeprefix(f"{self._wrap}.") if self._wrap else term.name
        known = [one for one in self._filters if one.field.lower() == name.lower()]
        if not known:
            fields = ", ".join(dict.fromkeys(one.field for one in self._filters))
            can = f"only by {fields}" if fields else "by no field"
            raise InvalidConditionError(f"records of this resource can be filtered {can}")
        chosen = next((one for one in known if operator in one.operators), None)
        if chosen is None:
            operators = ", ".join(operator for one in known for operator in one.operators)
            raise InvalidConditionError(f"{known[0].field} can only be used with {operators}")
        texts = [_text(chosen, value) for value in values]
        return chosen.parameter, _SEPARATOR.join(texts)


def _terms(condition: Condition) -> Iterator[Term]:
    """Yield the conditions that must all be true."""
    if not isinstance(condition, Junction):
        yield condition
        return
    if condition.operator == "OR":
        raise _refusal(condition, "conditions of this element can only be joined by AND")
    for term in condition.terms:
        yield from _terms(term)


def _operator_and_values(term: Term) -> tuple[str, Sequence[Value]]:
    match term:
        case Comparison():
            return term.operator, [term.value]
        case In():
            return "IN", term.values
        case Like():
            return "LIKE", [term.pattern]
        case IsNull():
            return "IS NULL" if term.is_null else "IS NOT NULL", []


def _text(chosen: ParameterFilter, value: Value) -> str:
    text = _written(typed_value(Field(chosen.field, FieldType(chosen.type), ""), value))
    # Providers ignore empty parameters: the answer would be a list that is not filtered.
    if not text:
        raise InvalidConditionError("the value is empty")
    if "IN" in chosen.operators and _SEPARATOR in text:
        raise InvalidConditionError("the provider would read the comma as the end of the value")
    return text


def _written(value: TypedValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return iso_instant(value)
        case date():
            return value.isoformat()
        case Number() | uuid.UUID() | str():
            return str(value)


def _refusal(condition: Condition, why: str) -> InvalidConditionError:
    return InvalidConditionError(f"The condition “{str(condition)[:300]}” cannot be used: {why}")
