"""Base of the lifecycle commands: run a sweep, print failures and totals."""

import json
from abc import ABC, abstractmethod
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from instances.errors import ClockSkewError
from instances.models import Instance
from instances.provisioning.lifecycle.sweeps import SweepReport
from instances.provisioning.status.explain import explain


class SweepCommand(ABC, BaseCommand):
    """Exit status 0: all succeeded, 1: some failed. --json prints one object."""

    verb: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print the result as one JSON object"
        )

    @abstractmethod
    def sweep(self, **options: Any) -> SweepReport:
        """Do the work that is due."""

    def handle(self, **options: Any) -> None:
        try:
            report = self.sweep(**options)
        except ClockSkewError as error:
            raise CommandError(str(error)) from None
        rows = _rows_of(report)
        total = report.total
        if options["json"]:
            result = {
                "total": total,
                "succeeded": report.succeeded,
                "failed": len(rows),
                "unchecked": report.unchecked,
                "rows": rows,
            }
            self.stdout.write(json.dumps(result))
        else:
            for row in rows:
                self.stderr.write(f"{row['name']} ({row['id']}): {row['error']} {row['advice']}")
            self.stdout.write(f"{self.verb}: {report.succeeded} of {total}.")
            if report.unchecked:
                self.stdout.write(f"Without a check, so not verified: {report.unchecked}.")
        if rows:
            raise CommandError(f"{len(rows)} of {total} failed.", returncode=1)


def _rows_of(report: SweepReport) -> list[dict[str, Any]]:
    """List each failure with advice.

    Name and advice are empty if the instance no longer exists.
    """
    found = Instance.objects.select_related("element", "cause_interaction")
    instances = found.in_bulk(list(report.failures))
    rows = []
    for pk, error in sorted(report.failures.items()):
        instance = instances.get(pk)
        explanation = explain(instance) if instance else None
        rows.append(
            {
                "id": pk,
                "name": instance.name if instance else "",
                "error": error,
                "advice": explanation.advice if explanation else "",
            }
        )
    return rows
