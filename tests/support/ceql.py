"""What CEQL means: conditions evaluated on rows, without a provider."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from instances.hubs.ceql import Comparison, Condition, In, IsNull, Junction, Like, Value
from instances.hubs.fields import Field, FieldType


def holds(condition: Condition, row: Mapping[str, Any], fields: Mapping[str, Field]) -> bool:
    """Whether a condition holds for a row. Texts compare without regard to case; null equals nothing but null."""
    if isinstance(condition, Junction):
        results = [holds(term, row, fields) for term in condition.terms]
        return all(results) if condition.operator == "AND" else any(results)
    kind, value = fields[condition.name].type, row[condition.name]
    match condition:
        case IsNull(is_null=is_null):
            return (value is None) is is_null
        case Like(pattern=pattern):
            parts = map(re.escape, pattern.text.casefold().split("%"))
            return value is not None and bool(
                re.fullmatch(".*".join(parts), value.casefold(), re.DOTALL)
            )
        case In(values=values):
            return value is not None and any(
                _comparable(value, kind) == _wanted(one, kind) for one in values
            )
        case Comparison(operator=operator, value=wanted):
            return _compares(value, operator, _wanted(wanted, kind), kind)


def _compares(value: Any, operator: str, wanted: Any, kind: FieldType) -> bool:
    if value is None:
        return operator == "!="
    value = _comparable(value, kind)
    results = {
        "=": value == wanted,
        "!=": value != wanted,
        "<": value < wanted,
        ">": value > wanted,
        "<=": value <= wanted,
        ">=": value >= wanted,
    }
    return bool(results[operator])


def _comparable(value: Any, kind: FieldType) -> Any:
    if kind == FieldType.TEXT:
        return value.casefold()
    if kind == FieldType.DATETIME:
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if kind == FieldType.DATE else value


def _wanted(value: Value, kind: FieldType) -> Any:
    match kind:
        case FieldType.TEXT:
            return value.text.casefold()
        case FieldType.NUMBER:
            return float(value.text)
        case FieldType.BOOLEAN:
            return value.text.lower() == "true"
        case FieldType.DATE:
            return date.fromisoformat(value.text)
        case FieldType.ID | FieldType.LOOKUP:
            return str(uuid.UUID(value.text))
    at = datetime.fromisoformat(value.text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
