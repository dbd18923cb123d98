"""A provider that accepts signed assertions only, and an element of it."""

import pytest

from tests.api.conftest import make_api_client
from tests.support.admin import operator
from tests.support.assertion_provider import AssertionProvider
from tests.support.factories import make_element

__all__ = ["operator"]

CLIENT_ID = "client-with-a-key"


@pytest.fixture
def provider(settings):
    with AssertionProvider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        yield provider


@pytest.fixture
def api(db):
    return make_api_client()


@pytest.fixture
def make_signed(provider, db):
    """make_signed(algorithm="ES256", …): an element whose client proves itself by such an assertion."""

    def make_signed(**assertion):
        return make_element(
            {
                "key": "signed",
                "id": 900200,
                "name": "Signed",
                "hub": "crm",
                "description": "An element whose client signs.",
                "authentication": [
                    {
                        "type": "oauth2Application",
                        "grant_type": "client_credentials",
                        "token_endpoint": f"{provider.url}/token",
                        "token_endpoint_auth_method": "private_key_jwt",
                        "assertion": {"private_key_key": "oauth.api.private_key"} | assertion,
                        "fields": [
                            {
                                "key": "oauth.api.key",
                                "label": "Client ID",
                                "required": True,
                                "secret": True,
                            },
                            {"key": "kid", "label": "Key ID", "default": "key-1"},
                            {
                                "key": "oauth.api.private_key",
                                "label": "Private key",
                                "type": "private_key",
                                "required": True,
                                "secret": True,
                            },
                        ],
                        "probe": {"url": f"{provider.url}/me", "scheme": "bearer"},
                    }
                ],
            }
        )

    return make_signed
