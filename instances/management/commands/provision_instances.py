"""`manage.py provision_instances`: every instance of a file, one after the other."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from instances.errors import InputError
from instances.models import BulkRow, OrganizationUser
from instances.provisioning.bodies import check_body
from instances.provisioning.bulk_files import read_bodies
from instances.provisioning.bulk_jobs import run_bulk_job, submit_bulk_job

ACTOR = "command line"


class RowResult(TypedDict):
    """One row of the JSON object that --json prints. state is the instance's; null in a dry run."""

    name: str
    state: str | None
    id: int | None
    error: str


class Command(BaseCommand):
    help = (
        "Provision the instances of FILE: a POST /instances body as JSON, a list of them, or one on each line. "
        "Exit status: 0 all done, 1 some failed, 2 bad input and nothing done."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a path, or - for standard input")
        parser.add_argument(
            "--user", required=True, metavar="EMAIL", help="whose instances they become"
        )
        parser.add_argument(
            "--organization", metavar="NAME", help="where the address is in several organizations"
        )
        parser.add_argument("--element", metavar="KEY", help="for rows that name no element")
        parser.add_argument(
            "--dry-run", action="store_true", help="check every row; send and keep nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def run_from_argv(self, argv: list[str]) -> None:
        """On a terminal the rows are told below; the log adds what is wrong, not every step."""
        logging.getLogger("instances").setLevel(logging.WARNING)
        super().run_from_argv(argv)

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[Any, Any]:
        """Refuses to write under keys that do not fit the data."""
        return {"databases": [DEFAULT_DB_ALIAS]}

    def handle(self, *, file: str, user: str, dry_run: bool, **options: Any) -> None:
        try:
            organization_user = _find_user(user, options["organization"])
            bodies = read_bodies(_read(file))
        except InputError as error:
            raise CommandError(str(error), returncode=2) from None
        if options["element"]:
            default = {"element": {"key": options["element"]}}
            bodies = [body if body.get("element") else body | default for body in bodies]
        work = _check if dry_run else _provision
        results: list[RowResult] = []
        try:
            for result in work(organization_user, bodies):
                results.append(result)
                if not options["json"]:
                    self._tell(result, len(results), len(bodies))
        except KeyboardInterrupt:
            raise CommandError(f"Stopped after {len(results)} of {len(bodies)} rows.") from None
        self._sum_up(results, is_json=options["json"], is_dry_run=dry_run)

    def _tell(self, result: RowResult, number: int, total: int) -> None:
        outcome = result["error"] or result["state"] or "could be provisioned"
        self.stdout.write(f"[{number}/{total}] {result['name'] or 'no name'}: {outcome}")
        self.stdout.flush()

    def _sum_up(self, results: list[RowResult], *, is_json: bool, is_dry_run: bool) -> None:
        failed = sum(bool(result["error"]) for result in results)
        succeeded = len(results) - failed
        if is_json:
            totals = {"total": len(results), "succeeded": succeeded, "failed": failed}
            self.stdout.write(json.dumps(totals | {"rows": results}))
        elif not failed:
            told = "could be provisioned" if is_dry_run else "provisioned"
            self.stdout.write(f"{succeeded} of {len(results)} {told}.")
        if failed:
            raise CommandError(
                f"{failed} of {len(results)} rows failed. Correct these and run them alone: rows that "
                "succeeded would be provisioned twice.",
                returncode=1,
            )


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from None


def _find_user(email: str, organization: str | None) -> OrganizationUser:
    users = OrganizationUser.objects.select_related("organization").filter(email__iexact=email)
    if organization:
        users = users.filter(organization__name=organization)
    found = list(users)
    if not found:
        where = f" in an organization {organization}" if organization else ""
        raise InputError(f"There is no user {email}{where}; make one with create_account.")
    if len(found) > 1:
        names = ", ".join(user.organization.name for user in found)
        raise InputError(
            f"{email} is in several organizations ({names}): name one, --organization."
        )
    return found[0]


def _check(
    organization_user: OrganizationUser, bodies: list[dict[str, Any]]
) -> Iterator[RowResult]:
    for body in bodies:
        error = check_body(organization_user, body, actor=ACTOR)
        yield {"name": str(body.get("name") or ""), "state": None, "id": None, "error": error}


def _provision(
    organization_user: OrganizationUser, bodies: list[dict[str, Any]]
) -> Iterator[RowResult]:
    job = submit_bulk_job(organization_user, bodies, actor=ACTOR)
    for row in run_bulk_job(job):
        yield _result(row)


def _result(row: BulkRow) -> RowResult:
    instance = row.instance
    return {
        "name": instance.name if instance else row.name,
        "state": instance.state if instance else BulkRow.Outcome.FAILED,
        "id": instance.pk if instance else None,
        "error": row.error,
    }
