"""The header `Link` (RFC 8288)."""

import re
from collections.abc import Iterator

_TARGET = re.compile(r"[\s,]*<([^<>]*)>")
_PARAMETER = re.compile(
    r"\s*;\s*([!#$&+.^_`|~0-9A-Za-z-]+\*?)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\",;]*)))?"
)


def linked(header: str, relation: str) -> str | None:
    """Return the target of the first link with a relation type, such as "next"; it may be relative.

    A link with another context than the response (`anchor`) is none of its own.
    """
    for target, parameters in _links(header):
        relations = parameters.get("rel", "").lower().split()
        if relation in relations and "anchor" not in parameters:
            return target
    return None


def _links(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield links, up to where the header cannot be read."""
    at = 0
    while found := _TARGET.match(header, at):
        at, parameters = found.end(), dict[str, str]()
        while part := _PARAMETER.match(header, at):
            at = part.end()
            # Of several values, the first one counts (RFC 8288 3.3).
            parameters.setdefault(part[1].lower(), part[2] or part[3] or "")
        yield found[1], parameters
