"""Instances that are connected to a provider, and the requests that it received."""

from datetime import timedelta

from django.utils import timezone

from instances.models import Instance
from instances.platforms.base import TokenSet
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.platform_requests import platform_request
from tests.support.factories import make_element, make_instance
from tests.support.provider import CLIENT_ID, CLIENT_SECRET


def oauth_definition(url, *, probe_url="", number=3):
    fields = [
        {"key": "oauth.api.key", "label": "Client id", "required": True, "secret": True},
        {"key": "oauth.api.secret", "label": "Client secret", "required": True, "secret": True},
        {"key": "oauth.callback.url", "label": "Callback", "required": True},
    ]
    return {
        "key": "granted" if number == 3 else f"granted{number}",
        "id": 900000 + number,
        "name": "Granted",
        "hub": "crm",
        "description": "An element of the loopback provider.",
        "authentication": [
            {
                "type": "oauth2",
                "grant_type": "authorization_code",
                "fields": fields,
                "authorization_endpoint": f"{url}/authorize",
                "token_endpoint": f"{url}/token",
                "revocation_endpoint": f"{url}/revoke",
                "probe": {"url": probe_url or f"{url}/probe", "scheme": "bearer"},
            }
        ],
    }


def make_connected(provider, *, probe_url="", element_number=3, **fields):
    """A connected instance with rotating refresh tokens."""
    definition = oauth_definition(provider.url, probe_url=probe_url, number=element_number)
    element = make_element(definition)
    instance = make_instance(
        element=element,
        configuration={
            "oauth.api.key": CLIENT_ID,
            "oauth.api.secret": CLIENT_SECRET,
            "oauth.callback.url": "https://app.example/callback",
        },
        authentication_type="oauth2",
        external_authentication="none",
        **fields,
    )
    draft = platform_request(instance, actor="test")
    url = platform_for(draft.organization).oauth_url(draft, state="s")
    return provision_instance(instance, actor="test", provider_data=provider.authorize(url))


def connected_row(provider, number, **fields):
    """A connected instance that is not stored yet, for many at once; number: tells their tokens apart."""
    tokens = TokenSet(f"access-token-{number}", f"refresh-token-{number}")
    provider.refresh_tokens.add(tokens.refresh_token)
    row = Instance(
        name=f"Number {number}",
        authentication_type="oauth2",
        configuration={"oauth.callback.url": "https://app.example/callback"},
        state=Instance.State.CONNECTED,
        **fields,
    )
    row.tokens = tokens.to_json()
    row.token = f"element-token-{number}"
    return row


def tokens_of(instance):
    return Instance.objects.get(pk=instance.pk).tokens.reveal()


def token_requests(provider):
    return [r for r in provider.requests if r.form.get("grant_type") == "refresh_token"]


def make_due(*instances):
    pks = [instance.pk for instance in instances]
    Instance.objects.filter(pk__in=pks).update(refresh_due_at=timezone.now() - timedelta(seconds=1))
