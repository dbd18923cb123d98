"""`manage.py element_schema`: print the JSON schema of element files, for editors."""

from typing import Any

from django.core.management.base import BaseCommand

from instances.catalogue.schema import element_schema


class Command(BaseCommand):
    help = "Print the JSON schema of element files, with which editors complete and check them."

    def handle(self, **options: Any) -> None:
        self.stdout.write(element_schema(), ending="")
