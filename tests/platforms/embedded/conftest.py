"""The embedded platform, and drafts for it."""

from dataclasses import replace

import pytest

from instances.models import Interaction
from instances.platforms.registry import platform_for
from tests.platforms.conftest import CALLBACK_URL, CLIENT, CLIENT_FIELDS
from tests.support.factories import make_organization
from tests.support.provider import PASSWORD, USERNAME

CODE_VERIFIER = "verifier-of-this-trip-0123456789-abcdefghijkl"
CODE = {**CLIENT, "oauth.callback.url": CALLBACK_URL}


@pytest.fixture
def platform(db):
    return platform_for(make_organization())


@pytest.fixture
def password_way(provider):
    return {
        "type": "custom",
        "grant_type": "password",
        "token_endpoint": f"{provider.url}/token",
        "token_params": {"resource": "https://{site}"},
        "username_key": "user.username",
        "password_key": "user.password",
        "fields": [
            {"key": "user.username", "label": "User", "required": True},
            {"key": "user.password", "label": "Password", "required": True, "secret": True},
            {"key": "site", "label": "Site", "default": "acme.example"},
            *({**field, "required": False} for field in CLIENT_FIELDS),
        ],
        "probe": {"url": f"{provider.url}/probe", "scheme": "bearer"},
    }


@pytest.fixture
def password_configuration():
    return {**CLIENT, "user.username": USERNAME, "user.password": PASSWORD}


@pytest.fixture
def code_draft(make_draft, code_way):
    return make_draft(code_way, CODE, code_verifier=CODE_VERIFIER)


def consented(platform, provider, draft):
    url = platform.oauth_url(draft, state="state-of-this-trip")
    return replace(draft, provider_data=provider.authorize(url))


def recorded():
    return str([vars(one) for one in Interaction.objects.all()])
