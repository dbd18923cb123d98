"""`manage.py check_instances`: test whether connected instances still work."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from instances.management.sweep_command import SweepCommand
from instances.models import Instance
from instances.provisioning.lifecycle.sweeps import SweepReport, work_due_instances


class Command(SweepCommand):
    help = "Check the connected instances that are due, or all of them. Safe to run beside a scheduler."
    verb = "Checked"

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--all", action="store_true", help="check all connected instances, due or not"
        )

    def sweep(self, **options: Any) -> SweepReport:
        connected = Instance.objects.filter(state=Instance.State.CONNECTED, is_disabled=False)
        if options["all"]:
            connected.update(next_action_at=timezone.now())
        total = SweepReport()
        states = [Instance.State.CONNECTED]
        while (report := work_due_instances(states=states)).total:
            total.add(report)
        return total
