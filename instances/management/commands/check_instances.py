"""`manage.py check_instances`: ask providers and platforms whether what is connected works."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from instances.management.sweep_command import SweepCommand
from instances.models import Instance
from instances.provisioning.lifecycle.sweeps import SweepReport, work_due_instances


class Command(SweepCommand):
    help = "Check the connected instances that are due, or with --all every one. Safe beside a scheduler."
    verb = "Checked"

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="also those that are not due yet")

    def sweep(self, **options: Any) -> SweepReport:
        connected = Instance.objects.filter(state=Instance.State.CONNECTED, is_disabled=False)
        if options["all"]:
            connected.update(next_action_at=timezone.now())
        total = SweepReport()
        states = [Instance.State.CONNECTED]
        while (report := work_due_instances(states=states)).succeeded or report.failures:
            total.add(report)
        return total
