"""Token-based authentication (OAuth 1.0a with a token that is entered), as NetSuite's: oauthlib checks each signature."""

import pytest

from instances.models import Interaction
from tests.conftest import shipped
from tests.support.factories import make_element
from tests.support.token_signatures import CONSUMER, REALM, TOKEN, SignedApi

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
FIELDS = [
    {"key": "consumer_key", "label": "Consumer key", "secret": True},
    {"key": "consumer_secret", "label": "Consumer secret", "secret": True},
    {"key": "token_id", "label": "Token", "secret": True},
    {"key": "token_secret", "label": "Token secret", "secret": True},
    {"key": "account", "label": "Account"},
]
KEYS = {
    "consumer_key": CONSUMER[0],
    "consumer_secret": CONSUMER[1],
    "token_id": TOKEN[0],
    "token_secret": TOKEN[1],
}


@pytest.fixture
def signed_api(settings):
    with SignedApi() as signed_api:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [signed_api.netloc]
        yield signed_api


def own_element(signed_api, method):
    signature = {"method": method, "realm": "{account}"}
    way = {
        "type": "custom",
        "client_id_key": "consumer_key",
        "client_secret_key": "consumer_secret",
        "oauth1_signature": signature
        | {"token_key": "token_id", "token_secret_key": "token_secret"},
        "fields": FIELDS,
        "probe": {"url": f"{signed_api.url}/me?a=%20b&a=", "scheme": "oauth1"},
        "api": {"base_url": f"{signed_api.url}/v1"},
    }
    make_element(
        {
            "key": "tokens",
            "id": 900210,
            "name": "Tokens",
            "hub": "crm",
            "description": "Signs with a token.",
            "authentication": [way],
        }
    )


def create(api, element="tokens", **configuration):
    body = {"element": {"key": element}, "name": "Acme", "configuration": KEYS | configuration}
    return api.post("instances", body)


def call(api, created, method, path, body=b"", content_type=""):
    header = f"User {api.user.secret.reveal()}, Element {created.json()['token']}"
    response = api.django.generic(
        method,
        f"/elements/api-v2/proxy/{path}",
        data=body,
        content_type=content_type,
        headers={"Authorization": header},
    )
    # The test client closes a response at the end of its content.
    response.getvalue()
    return response.status_code


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256"])
def test_every_request_is_signed_as_oauthlib_signs_it(api, signed_api, method):
    signed_api.method = method
    own_element(signed_api, method)
    created = create(api, account=REALM)
    assert (created.status_code, signed_api.refusals) == (200, []), created.text
    requests = [
        ("GET", "customer/5?q=a%20b&q=%C3%BC&q=&b=1", b"", ""),
        ("POST", "customer", b'{"name": "Acme & Sons", "a": "b=c"}', JSON),
        ("POST", "search", b"name=Acme+%26+S%C3%B6hne&a=2&a=1&b=", FORM),
        ("PATCH", "customer/5", b"\x00\xff", "application/octet-stream"),
        ("DELETE", "customer/5", b"", ""),
    ]
    for name, path, body, content_type in requests:
        assert call(api, created, name, path, body, content_type) == 200, signed_api.refusals
        assert signed_api.calls[-1] == (name, f"/v1/{path}", body)
    shown = created.text + str([vars(one) for one in Interaction.objects.all()])
    assert not [secret for secret in (*CONSUMER, *TOKEN) if secret in shown]


def test_netsuite_is_called_with_token_based_authentication(api, signed_api):
    shipped("netsuitecrmv2")
    organization = api.user.organization
    organization.endpoint_overrides = {
        "netsuitecrmv2": {
            "https://{netsuite.account.domain}.suitetalk.api.netsuite.com": signed_api.url
        }
    }
    organization.save()
    account = {"netsuite.accountId": REALM, "netsuite.sandbox": "true"}
    domain = {"netsuite.account.domain": "1234567-sb1"}
    created = create(api, "netsuitecrmv2", **account, **domain)
    assert created.status_code == 200, created.text
    target = "record/v1/customer?q=email%20IS%20%22a%22"
    assert call(api, created, "GET", target) == 200, signed_api.refusals
    assert signed_api.calls == [("GET", f"/services/rest/{target}", b"")]
    assert 'oauth_signature_method="HMAC-SHA256"' in signed_api.headers[-1]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [({"secret": "another"}, "signature invalid"), ({"clock_is_wrong_by": 301}, "timestamp")],
)
def test_a_refused_signature_is_explained(api, signed_api, change, refusal):
    own_element(signed_api, "HMAC-SHA256")
    for name, value in change.items():
        setattr(signed_api, name, value)
    refused = create(api, account=REALM)
    assert refused.status_code == 400
    assert refusal in signed_api.refusals[0]
    assert "rejected the credentials (HTTP 401)" in refused.text
    shown = refused.text + str([vars(one) for one in Interaction.objects.all()])
    assert not [secret for secret in (*CONSUMER, *TOKEN) if secret in shown]


def test_a_realm_cannot_add_to_the_header(api, signed_api):
    own_element(signed_api, "HMAC-SHA256")
    refused = create(api, account='1", oauth_token="another')
    assert (refused.status_code, signed_api.headers) == (400, [])
    assert "account: " in refused.json()["message"]


@pytest.mark.parametrize("missing", ["token_id", "token_secret", "consumer_secret"])
def test_what_is_missing_is_named(api, signed_api, missing):
    own_element(signed_api, "HMAC-SHA256")
    refused = create(api, account=REALM, **{missing: ""})
    assert (refused.status_code, signed_api.headers) == (400, [])
    assert missing in refused.json()["message"]
