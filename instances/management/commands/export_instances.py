"""`manage.py export_instances`: print a user's instances as JSON Lines."""

import json
from typing import Any

from instances.catalogue.configuration_keys import MASK
from instances.management.user_command import UserCommand
from instances.models import Instance


class Command(UserCommand):
    help = (
        "Print a user's instances as JSON Lines: POST /instances bodies with id and state. Secrets are masked. To "
        "create the same instances elsewhere, fill them in and run provision_instances."
    )

    def handle(self, **options: Any) -> None:
        mine = Instance.objects.filter(organization_user=self.find_user(options))
        rows = mine.select_related("element").prefetch_related("tags").order_by("pk")
        for instance in rows.iterator(chunk_size=500):
            self.stdout.write(json.dumps(_document(instance), ensure_ascii=False))


def _document(instance: Instance) -> dict[str, Any]:
    return {
        "id": instance.remote_id or instance.pk,
        "state": instance.state,
        "element": {"key": instance.element_key},
        "name": instance.name,
        "tags": instance.tag_names,
        "externalAuthentication": instance.external_authentication,
        "configuration": {
            "authentication.type": instance.authentication_type,
            **instance.configuration,
            **dict.fromkeys(instance.secret_keys, MASK),
        },
    }
