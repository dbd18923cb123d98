"""`manage.py bulk_template`: print a CSV template for an element."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from instances.bulk.files.csv_files import csv_template
from instances.errors import UnknownElementError
from instances.provisioning.elements import find_element


class Command(BaseCommand):
    help = "Print a CSV template for instances of an element: the header, and an example row without secrets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("element", metavar="KEY", help="the element's key")

    def handle(self, *, element: str, **options: Any) -> None:
        try:
            template = csv_template(find_element(element))
        except UnknownElementError as error:
            raise CommandError(f"{error}.", returncode=2) from None
        self.stdout.write(template, ending="")
