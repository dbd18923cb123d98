"""`manage.py create_account`: create an organization, its user and secrets."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from instances.errors import InputError
from instances.provisioning.access.organizations import IssuedSecrets, create_account


class Command(BaseCommand):
    help = (
        "Create an organization and its user, and print their secrets once. Safe to run again: existing ones are "
        "kept, and their secrets are not printed again."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, metavar="NAME")
        parser.add_argument("--user", required=True, metavar="EMAIL")
        parser.add_argument(
            "--sandbox", action="store_true", help="let the organization reach the sandbox"
        )
        parser.add_argument(
            "--rotate",
            action="store_true",
            help="generate new secrets; the old ones stop working immediately",
        )
        parser.add_argument(
            "--platform-url",
            default="",
            metavar="URL",
            help="the remote platform that provisions for the organization; default: the embedded platform",
        )
        parser.add_argument(
            "--organization-secret",
            default="",
            metavar="SECRET",
            help="the organization secret of the remote platform",
        )
        parser.add_argument(
            "--user-secret",
            default="",
            metavar="SECRET",
            help="the user secret of the remote platform",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[Any, Any]:
        """Refuse to write with encryption keys that do not match the data."""
        return {"databases": [DEFAULT_DB_ALIAS]}

    def handle(self, **options: Any) -> None:
        try:
            issued = create_account(
                options["organization"],
                options["user"],
                platform_url=options["platform_url"],
                organization_secret=options["organization_secret"],
                user_secret=options["user_secret"],
                is_sandbox=options["sandbox"],
                is_rotating=options["rotate"],
            )
        except InputError as error:
            raise CommandError(str(error), returncode=2) from None
        self.stdout.write(_as_json(issued) if options["json"] else _as_text(issued))


def _as_json(issued: IssuedSecrets) -> str:
    return json.dumps(
        {
            "organization": issued.user.organization.name,
            "user": issued.user.email,
            "organizationSecret": issued.organization_secret,
            "userSecret": issued.user_secret,
        }
    )


def _as_text(issued: IssuedSecrets) -> str:
    lines = [f"{issued.user.email} of {issued.user.organization.name}"]
    if issued.organization_secret:
        lines.append(f"Organization secret: {issued.organization_secret}")
    if issued.user_secret:
        lines.append(f"User secret: {issued.user_secret}")
    if issued.organization_secret or issued.user_secret:
        lines.append(
            "Save these secrets now: they will not be shown again. Use --rotate to replace them."
        )
    else:
        lines.append(
            "No secrets were generated. On the embedded platform, --rotate generates new ones."
        )
    return "\n".join(lines)
