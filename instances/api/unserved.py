"""Collections of the vendor's API that are not served, so that they are empty here."""

import re

# By path below the API's prefix.
_EMPTY = {
    "formulas": r"formulas",
    "formula instances": r"formulas/(\d+/)?instances",
    "common resources": r"common-resources",
    "transformations": r"((organizations|accounts|instances/\d+)/)?(elements/([^/]+/)?)?transformations",
    "object definitions": r"(organizations|accounts|instances/\d+)/objects(/[^/]+)?/definitions",
    "virtual data resources": r"vdrs",
    "jobs": r"jobs",
}


def not_found_message(method: str | None, path: str, otherwise: str) -> str:
    """Say that nothing is at a path: `No <things> found` for a collection that is empty here (contract 3.1).

    Clients take a list for empty only if the message has this form. path: below the API's prefix.
    """
    if method in {"GET", "HEAD"}:
        for things, pattern in _EMPTY.items():
            if re.fullmatch(pattern, path.strip("/")):
                return f"No {things} found"
    return otherwise
