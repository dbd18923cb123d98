"""A file of `POST /instances` bodies (contract 7.1): one JSON object, a JSON list, or JSON Lines."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from instances.errors import InputError
from instances.provisioning.bodies import parse_body

MAX_ERRORS_TOLD = 20


def read_bodies(content: bytes) -> list[dict[str, Any]]:
    """The bodies of a file, each of the right form; whether its element takes it is not looked at.

    Raises InputError that names the rows or the line at fault, never a value.
    """
    bodies: list[dict[str, Any]] = []
    errors = []
    try:
        for place, document in _documents(_decode(content)):
            try:
                parse_body(document)
                # What a database cannot store as text, such as half of a surrogate pair.
                json.dumps(document, ensure_ascii=False).encode()
            except InputError as error:
                errors.append(f"{place}: {error}")
            except UnicodeEncodeError:
                errors.append(f"{place}: it holds characters that are no text (lone surrogates).")
            bodies.append(document)
    except RecursionError:
        raise InputError("The JSON is nested too deeply.") from None
    if errors:
        more = len(errors) - MAX_ERRORS_TOLD
        told = [*errors[:MAX_ERRORS_TOLD], *([f"{more} more rows are wrong."] if more > 0 else [])]
        raise InputError("\n".join(told))
    if not bodies:
        raise InputError("There is no instance in it.")
    return bodies


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"Line {line}: this is not UTF-8 text.") from None


def _documents(text: str) -> Iterator[tuple[str, Any]]:
    """Every body with the words for where it stands."""
    try:
        whole = _load(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise _not_json(error, error.lineno) from None
    else:
        rows = whole if isinstance(whole, list) else [whole]
        yield from ((f"Row {number}", row) for number, row in enumerate(rows, start=1))
        return
    # Not str.splitlines(): U+2028 may stand inside a JSON string (RFC 8259 7).
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield f"Line {number}", _load(line)
            except json.JSONDecodeError as error:
                raise _not_json(error, number) from None


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        # A number of more digits than Python reads.
        raise InputError(f"This is not JSON that can be read: {error}.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not JSON.")


def _not_json(error: json.JSONDecodeError, line: int) -> InputError:
    return InputError(f"Line {line}, column {error.colno}: this is not JSON ({error.msg}).")
