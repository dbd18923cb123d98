"""What the commands about one organization user have in common: which one it is."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from instances.errors import InputError
from instances.models import OrganizationUser
from instances.provisioning.access.organizations import find_user


class UserCommand(BaseCommand):
    """Exit status 2: there is no such user, and nothing was done."""

    requires_migrations_checks = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, metavar="EMAIL", help="whose instances")
        parser.add_argument(
            "--organization",
            default="",
            metavar="NAME",
            help="where the address is in several organizations",
        )

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[Any, Any]:
        """Refuses to write under keys that do not fit the data."""
        return {"databases": [DEFAULT_DB_ALIAS]}

    def find_user(self, options: dict[str, Any]) -> OrganizationUser:
        try:
            return find_user(options["user"], options["organization"])
        except InputError as error:
            raise CommandError(str(error), returncode=2) from None
