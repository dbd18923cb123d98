"""Parameters by which providers differ: where the scope stands, and what a refresh sends along."""

import base64
import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from instances.platforms.base import TokenSet
from tests.platforms.embedded.conftest import CODE, CODE_VERIFIER
from tests.support.provider import CLIENT_ID
from tests.support.signing_keys import pem, rsa_key


@pytest.mark.parametrize("parameter", ["scope", "user_scope"])
def test_the_scope_stands_where_the_element_says(platform, make_draft, code_way, parameter):
    way = code_way | {"scopes": ["chat:write"], "scope_parameter": parameter}
    draft = make_draft(way, CODE, code_verifier=CODE_VERIFIER)
    query = parse_qs(urlsplit(platform.oauth_url(draft, state="s")).query)
    assert query[parameter] == ["chat:write"]
    assert {"scope", "user_scope"} & query.keys() == {parameter}


def test_a_refresh_sends_its_own_parameters(platform, provider, make_draft, code_way):
    way = code_way | {"refresh_params": {"expires_in": "86400"}}
    provider.refresh_tokens.add("r-1")
    draft = replace(make_draft(way, CODE), tokens=TokenSet("a-1", "r-1"))
    platform.refresh_tokens(draft)
    assert provider.last.form["expires_in"] == "86400"


def test_the_scope_of_a_client_assertion_is_a_claim_if_the_element_says_so(
    platform, provider, make_draft
):
    fields = [
        {"key": "oauth.api.key", "label": "Client ID", "required": True, "secret": True},
        {"key": "key", "label": "Key", "type": "private_key", "required": True, "secret": True},
    ]
    way = {
        "type": "oauth2Application",
        "grant_type": "client_credentials",
        "token_endpoint": f"{provider.url}/token",
        "token_endpoint_auth_method": "private_key_jwt",
        "scopes": ["restlets", "rest_webservices"],
        "scope_separator": ",",
        "assertion": {"private_key_key": "key", "algorithm": "PS256", "carries_scope": True},
        "fields": fields,
    }
    provider.override = (200, {"access_token": "a-1", "expires_in": 3600})
    platform.create_instance(make_draft(way, {"oauth.api.key": CLIENT_ID, "key": pem(rsa_key())}))
    payload = provider.last.form["client_assertion"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (claims["iss"], claims["scope"]) == (CLIENT_ID, "restlets,rest_webservices")
