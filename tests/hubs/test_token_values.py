"""Values of the token response that say where the API is, such as instance_url."""

import pytest

from instances.models import Instance, Organization
from tests.hubs.conftest import make_program
from tests.support.provider_api import Reply, oauth_definition


@pytest.fixture
def definition(provider_api):
    definition = oauth_definition(provider_api.url)
    way = definition["authentication"][0]
    way["token_data"] = {"instance_url": ["*.salesforce.example"]}
    way["api"]["base_url"] = "{instance_url}/api"
    return definition


@pytest.fixture
def program(db, definition):
    """Its tokens were obtained elsewhere, so the first refresh brings the value."""
    return make_program(
        definition,
        {
            "oauth.api.key": "client",
            "oauth.api.secret": "secret-of-the-client",
            "oauth.user.refresh_token": "refresh-token-0",
        },
        externalAuthentication="initial",
    )


def test_the_value_of_the_token_response_is_kept_and_used(program, provider_api):
    provider_api.token_values = {"instance_url": f"{provider_api.url}/"}
    Organization.objects.update(private_hosts={"relayed": [provider_api.netloc]})
    assert program.get("things").status_code == 200
    assert provider_api.last.target == "/api/things"
    # A refresh that does not repeat the value keeps it, and one that does replaces it.
    provider_api.token_values = {}
    provider_api.access_tokens = {"another"}
    assert program.get("things").status_code == 200
    assert provider_api.refreshes == 2


@pytest.mark.parametrize(
    "value",
    [
        "https://evil.example",
        "https://salesforce.example.evil.example",
        "https://evilsalesforce.example",
        "https://user@evil.example",
        "https://acme.salesforce.example@evil.example/",
        "https://acme.salesforce.example:443@evil.example/",
        "https://evil.example/acme.salesforce.example",
        "https://evil.example\\.salesforce.example",
        "https://evil.example#.salesforce.example",
        "https://evil.example?.salesforce.example",
        "http://acme.salesforce.example",
        "http://acme.salesforce.example:8080",
        "http://acme.salesforce.example:443",
        "https://127.0.0.1",
        "https://169.254.169.254",
        "javascript:alert(1)",
        "//acme.salesforce.example",
        "acme.salesforce.example",
        "https://acme.salesforce.example\r\nHost: evil.example",
        "",
    ],
)
def test_a_value_that_leads_elsewhere_is_refused(value, program, provider_api):
    provider_api.token_values = {"instance_url": value}
    response = program.get("things")
    assert response.status_code == 400, response.content
    assert "Elements-Provider-Status" not in response
    assert provider_api.received == []


def test_no_caller_can_set_the_value(program, provider_api):
    provider_api.token_values = {"instance_url": f"{provider_api.url}/"}
    response = program.api.patch(
        f"instances/{program.instance.pk}?reAuthenticate=false",
        {"configuration": {"instance_url": provider_api.url}},
    )
    assert response.status_code in {200, 400}
    assert program.get("things").status_code == 400
    assert provider_api.received == []
    assert Instance.objects.get().is_connected


def test_the_value_reaches_no_record(program, provider_api):
    provider_api.replies["things"] = lambda _: Reply(200)
    document = program.api.get(f"instances/{program.instance.pk}").json()
    assert "instance_url" not in str(document)
