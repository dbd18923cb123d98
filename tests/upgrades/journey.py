"""`python -m tests.upgrades.journey` in an upgraded database: what its operators and programs would do next.

Prints one JSON object: what it found, for the test to compare.
"""

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.test import Client  # noqa: E402

from instances.models import Instance, OrganizationUser  # noqa: E402

API = "/elements/api-v2"


def main() -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    administrator = Client()
    administrator.force_login(User.objects.get(is_superuser=True))
    lists = ("instance", "interaction", "bulkjob", "authorization", "organization", "oauthapp")
    pages = {name: administrator.get(f"/admin/instances/{name}/").status_code for name in lists}
    found = {
        "pages": pages,
        "instances": {one.pk: _seen(one, administrator) for one in Instance.objects.order_by("pk")},
        "api": [_listed(user) for user in OrganizationUser.objects.order_by("pk")],
    }
    json.dump(found, sys.stdout)


def _seen(instance: Instance, administrator: Client) -> dict[str, object]:
    """Its state, whether its secrets decrypt, and whether its page opens."""
    page = administrator.get(f"/admin/instances/instance/{instance.pk}/change/")
    return {
        "state": instance.state,
        "token": bool(instance.token.reveal()),
        "secrets": sorted(instance.secret_configuration.reveal()) == instance.secret_keys,
        "page": page.status_code,
        "is_oauth": instance.authentication_type == "oauth2",
        "token_endpoint": instance.authentication.token_endpoint,
    }


def _listed(user: OrganizationUser) -> list[int]:
    """The ids that the platform API lists for a user who signs in with the stored secrets."""
    secrets = f"User {user.secret.reveal()}, Organization {user.organization.secret.reveal()}"
    answer = Client().get(f"{API}/instances", headers={"Authorization": secrets})
    assert answer.status_code == 200, answer.text
    return sorted(one["id"] for one in answer.json())


if __name__ == "__main__":
    main()
