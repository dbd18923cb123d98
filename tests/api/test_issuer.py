"""API clients with their own callback, which pass on the iss that the provider sent (RFC 9207)."""

import pytest

from instances.models import Instance
from tests.support.factories import make_element
from tests.support.oauth1_provider import signed_element, signed_way
from tests.support.provider import CLIENT_ID, CLIENT_SECRET


@pytest.fixture
def body(provider):
    way = signed_way(provider) | {
        "type": "oauth2",
        "grant_type": "authorization_code",
        "request_token_endpoint": None,
        "token_endpoint": f"{provider.url}/token",
        "provider_data": ["code"],
        "issuer": "https://issuer.example/{oauth.api.key}",
        "sends_iss": True,
        "probe": None,
    }
    make_element(signed_element(provider) | {"authentication": [way]})
    configuration = {
        "oauth.api.key": CLIENT_ID,
        "oauth.api.secret": CLIENT_SECRET,
        "oauth.callback.url": "https://client.example/callback",
    }
    return {"element": {"key": "signed"}, "name": "Acme", "configuration": configuration}


@pytest.mark.parametrize("iss", ["https://mallory.example", "https://issuer.example/other", ""])
def test_a_code_of_another_issuer_is_not_sent(api, provider, body, iss):
    body["providerData"] = {"code": "c0de-that-came", "iss": iss}
    answer = api.post("instances", body)
    assert answer.status_code == 400
    assert f"does not come from https://issuer.example/{CLIENT_ID}" in answer.json()["message"]
    assert provider.requests == []
    assert not Instance.objects.filter(state="provisioning").exists()


@pytest.mark.parametrize("iss", [f"https://issuer.example/{CLIENT_ID}", None])
def test_a_code_of_the_right_issuer_or_of_a_client_that_tells_none_is_sent(
    api, provider, body, iss
):
    body["providerData"] = {"code": "c0de-that-came"} | ({"iss": iss} if iss else {})
    api.post("instances", body)
    assert provider.requests[0].form["code"] == "c0de-that-came"
