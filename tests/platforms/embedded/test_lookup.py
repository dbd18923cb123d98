"""Values that a provider is asked for once there is a token: strict about hosts, and never at a code's expense."""

from dataclasses import replace

import pytest

from instances import errors
from instances.models import Instance, Interaction
from instances.platforms.base import TokenSet
from instances.platforms.embedded.calling import base_url_of, call_headers
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.platform_requests import platform_request
from tests.platforms.embedded.conftest import CODE, CODE_VERIFIER, consented
from tests.support.connected import oauth_definition
from tests.support.factories import make_element, make_instance
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, Provider

TENANTS = [{"tenantId": "t-1", "api": "https://eu.acme.example"}, {"tenantId": "t-2"}]


class TenantProvider(Provider):
    """A provider whose API calls must name a tenant, which /connections lists."""

    connections_answer: tuple[int, object] = (200, TENANTS)

    def answer(self, request):
        if request.path == "/connections":
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            return self.connections_answer if token in self.access_tokens else (401, {})
        if request.path == "/probe" and request.headers.get("tenant-id") not in {"t-1", "t-2"}:
            return 403, {"message": "Which tenant?"}
        return super().answer(request)


@pytest.fixture
def provider(settings):
    with TenantProvider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        yield provider


@pytest.fixture
def tenant_way(provider, code_way):
    tenant = {"key": "tenant", "label": "Tenant"}
    return code_way | {
        "fields": [*code_way["fields"], tenant],
        "lookup": {
            "url": f"{provider.url}/connections",
            "values": {"tenant": "0.tenantId", "api": "0.api"},
            "hosts": {"api": ["*.acme.example"]},
        },
        "probe": {
            "url": f"{provider.url}/probe",
            "scheme": "bearer",
            "headers": {"Tenant-Id": "{tenant}"},
        },
        "api": {"base_url": "{api}/v1"},
    }


@pytest.fixture
def draft(make_draft, tenant_way):
    return make_draft(tenant_way, CODE, code_verifier=CODE_VERIFIER)


def test_the_values_are_kept_with_the_tokens_and_used(platform, provider, draft):
    sent = consented(platform, provider, draft)
    tokens = platform.create_instance(sent).tokens
    assert (tokens.extra["tenant"], tokens.extra["api"]) == ("t-1", "https://eu.acme.example")
    connected = replace(sent, tokens=TokenSet.from_json(tokens.to_json()))
    assert base_url_of(connected) == "https://eu.acme.example/v1"
    assert (
        call_headers(connected, "GET", "", headers={}, body=None).credentials["Tenant-Id"] == "t-1"
    )
    assert "Look up account" in Interaction.objects.values_list("operation", flat=True)


def test_the_configuration_chooses_another_one(platform, provider, make_draft, tenant_way):
    chosen = make_draft(tenant_way, CODE | {"tenant": "t-2"}, code_verifier=CODE_VERIFIER)
    tokens = platform.create_instance(consented(platform, provider, chosen)).tokens
    assert "tenant" not in tokens.extra
    assert provider.last.headers["tenant-id"] == "t-2"


@pytest.mark.parametrize(
    "host", ["https://acme.example.evil.example", "http://eu.acme.example", "https://evil.example"]
)
def test_no_call_goes_to_a_host_that_is_not_the_providers(platform, provider, draft, host):
    provider.connections_answer = (200, [{"tenantId": "t-1", "api": host}])
    sent = consented(platform, provider, draft)
    tokens = platform.create_instance(sent).tokens
    with pytest.raises(errors.HostNotAllowedError):
        base_url_of(replace(sent, tokens=tokens))


@pytest.mark.parametrize(
    "answer",
    [[], {}, [{"tenantId": ""}], [{"tenantId": {"a": 1}}], [{"tenantId": "x" * 501}], ["t"]],
)
def test_an_account_without_anything_is_refused_with_a_sentence(platform, provider, draft, answer):
    provider.connections_answer = (200, answer)
    with pytest.raises(errors.AccessForbiddenError, match=r"named nothing .*\(api, tenant\)"):
        platform.create_instance(consented(platform, provider, draft))


@pytest.fixture
def connected_late(db, provider, tenant_way):
    """An instance that was connected while /connections was down."""
    definition = oauth_definition(provider.url, number=8)
    definition["authentication"] = [tenant_way]
    instance = make_instance(
        element=make_element(definition),
        configuration={
            "oauth.api.key": CLIENT_ID,
            "oauth.api.secret": CLIENT_SECRET,
            "oauth.callback.url": "https://app.example/callback",
        },
        authentication_type="oauth2",
        external_authentication="none",
    )
    provider.connections_answer = (503, "down")
    code = provider.authorize(
        "https://provider.example/authorize?state=s&redirect_uri=https://app.example/callback"
    )
    return provision_instance(instance, actor="test", provider_data=code)


def test_an_outage_costs_no_code_and_the_next_check_looks_again(provider, connected_late):
    assert connected_late.is_connected
    provider.connections_answer = (200, TENANTS)
    check_instance(connected_late, actor="test")
    connected_late.refresh_from_db()
    assert (connected_late.cause, connected_late.is_verified) == ("", True)
    assert connected_late.tokens.reveal()["extra"]["tenant"] == "t-1"
    assert (
        platform_request(connected_late, actor="test").tokens.access_token in provider.access_tokens
    )


@pytest.mark.parametrize("is_down", [False, True])
def test_another_consent_is_looked_up_anew(provider, connected_late, is_down):
    provider.connections_answer = (200, TENANTS)
    check_instance(connected_late, actor="test")
    other = [{"tenantId": "t-2", "api": "https://us.acme.example"}]
    provider.connections_answer = (503, "down") if is_down else (200, other)
    instance = Instance.objects.get()
    request = platform_request(instance, actor="test")
    sent = consented(platform_for(request.organization), provider, request)
    tokens = platform_for(request.organization).update_instance(sent).tokens
    found = {"tenant": "t-2", "api": "https://us.acme.example"}
    assert {name: tokens.extra.get(name) for name in found if name in tokens.extra} == (
        {} if is_down else found
    )


def test_a_value_that_begins_with_a_blank_is_an_error_without_it(platform, provider, draft):
    """No client sends such a header, and the library's error would repeat the value."""
    provider.connections_answer = (200, [TENANTS[0] | {"tenantId": " hostile"}])
    with pytest.raises(errors.InvalidConfigurationError) as caught:
        platform.create_instance(consented(platform, provider, draft))
    assert "hostile" not in str(caught.value)


def test_a_list_to_choose_from_offers_nothing_empty(platform, provider, make_draft, code_way):
    """An empty choice would be asked for again, by itself if it were the only one."""
    site = {"key": "site", "label": "Site", "required": True}
    url = f"{provider.url}/connections"
    discovery = {"key": "site", "url": url, "list_at": "all", "value_at": "id", "label_at": "name"}
    way = code_way | {"fields": [*code_way["fields"], site], "discovery": discovery}
    listed = [{"id": text, "name": "Acme"} for text in ("", " \t", "********", "acme")]
    provider.connections_answer = (200, {"all": listed})
    draft = make_draft(way, CODE | {"site": "unused"}, code_verifier=CODE_VERIFIER)
    assert platform.find_choices(consented(platform, provider, draft)) == [("acme", "Acme")]
