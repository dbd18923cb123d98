"""Base of the commands for one organization user: find the user by email address."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from instances.errors import InputError
from instances.models import OrganizationUser
from instances.provisioning.access.organizations import find_user


class UserCommand(BaseCommand):
    """Exit status 2: the user was not found, and nothing was done."""

    requires_migrations_checks = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, metavar="EMAIL", help="owner of the instances")
        parser.add_argument(
            "--organization",
            default="",
            metavar="NAME",
            help="needed if the address belongs to several organizations",
        )

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[Any, Any]:
        """Refuse to write with encryption keys that do not match the data."""
        return {"databases": [DEFAULT_DB_ALIAS]}

    def find_user(self, options: dict[str, Any]) -> OrganizationUser:
        try:
            return find_user(options["user"], options["organization"])
        except InputError as error:
            raise CommandError(str(error), returncode=2) from None
