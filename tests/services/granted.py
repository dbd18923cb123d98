"""Grants in an installation: `python -m tests.services.granted make PROVIDER_URL COUNT`, or `… show`.

make: create connected instances with the refresh tokens seed-0, seed-1 and so on. show: print the current ones as JSON.
"""

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from instances.models import Instance  # noqa: E402
from instances.provisioning.lifecycle.provision import provision_instance  # noqa: E402
from tests.support.connected import oauth_definition  # noqa: E402
from tests.support.factories import make_element, make_instance, make_organization_user  # noqa: E402
from tests.support.provider import CLIENT_ID, CLIENT_SECRET  # noqa: E402


def make(url, count):
    user, element = make_organization_user(), make_element(oauth_definition(url))
    for number in range(count):
        instance = make_instance(
            organization_user=user,
            element=element,
            name=f"Grant {number}",
            configuration={
                "oauth.api.key": CLIENT_ID,
                "oauth.api.secret": CLIENT_SECRET,
                "oauth.callback.url": "https://app.example/callback",
                "oauth.user.token": f"access-{number}",
                "oauth.user.refresh_token": f"seed-{number}",
            },
            authentication_type="oauth2",
            external_authentication="initial",
        )
        provision_instance(instance, actor="test")


def show():
    found = [
        {
            "name": instance.name,
            "state": instance.state,
            "version": instance.tokens_version,
            "refresh_token": instance.tokens.reveal()["refresh_token"],
            "cause": instance.cause_message,
        }
        for instance in Instance.objects.order_by("pk")
    ]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", url, count]:
            make(url, int(count))
        case ["show"]:
            show()
