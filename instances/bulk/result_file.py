"""The result file of a bulk job: the outcome of each row, as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator

from django.contrib.auth.models import AnonymousUser, User

from instances.errors import UnreadableSecretError
from instances.models import BulkJob, BulkRow, Instance
from instances.provisioning.access.tokens import reveal_token

_READ_ROWS = 500
# A spreadsheet would run text that starts with these as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def result_file(
    job: BulkJob, *, user: User | AnonymousUser, has_tokens: bool = False, cause: str = ""
) -> Iterator[str]:
    """Yield the CSV in pages of rows.

    has_tokens: include the Element tokens, and record each as revealed. cause: only the rows that failed for it.

    Raises PermissionRefusedError if the account may not reveal tokens.
    """
    tokens = ["element token"] if has_tokens else []
    yield _csv([["row", "name", "element", "outcome", "instance", "cause", *tokens]])
    last = 0
    of_job = job.rows.failed().filter(cause=cause) if cause else job.rows
    rows = of_job.select_related("instance__element", "instance__organization_user__organization")
    while page := list(rows.filter(number__gt=last)[:_READ_ROWS]):
        yield _csv(_line(row, user if has_tokens else None) for row in page)
        last = page[-1].number


def _line(row: BulkRow, user: User | AnonymousUser | None) -> list[object]:
    line = [
        row.number,
        _plain(row.name),
        _plain(row.element_key),
        row.outcome,
        row.instance_id,
        _plain(row.error),
    ]
    if user is not None:
        instance = row.instance
        line.append(_token_of(instance, user) if instance and instance.has_token else "")
    return line


def _token_of(instance: Instance, user: User | AnonymousUser) -> str:
    try:
        return reveal_token(instance, user=user)
    except UnreadableSecretError:
        return "unreadable"


def _csv(lines: Iterable[list[object]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(lines)
    return written.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
