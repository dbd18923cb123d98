"""Shipped elements against a listener that plays every host: who gets which request, and with what in it."""

import base64
import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from instances import errors
from instances.platforms.base import TokenSet
from instances.platforms.embedded.calling import base_url_of
from instances.provisioning.platform_requests import platform_request
from tests.conftest import shipped
from tests.platforms.embedded.conftest import recorded
from tests.support.factories import make_instance
from tests.support.internet import Internet, lead_everything_to
from tests.support.signing_keys import pem, rsa_key

CLIENT = {
    "oauth.api.key": "client-1",
    "oauth.api.secret": "secret-1",
    "oauth.callback.url": "https://app.example/callback",
}
TOKENS = {"access_token": "a-1", "refresh_token": "r-1", "expires_in": 3600}


class AnyHost(Internet):
    """Answer by host and path, as answers say; everything else with tokens."""

    def __init__(self):
        super().__init__()
        self.answers = {}

    def answer(self, request):
        return self.answers.get(request.headers["host"] + request.path, (200, TOKENS))

    def request_to(self, host):
        return next(one for one in self.requests if one.headers["host"] == host)


@pytest.fixture
def internet(settings, monkeypatch):
    with AnyHost() as internet:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [internet.netloc]
        lead_everything_to(internet, monkeypatch)
        yield internet


@pytest.fixture
def drafted(db):
    """drafted(element, way, configuration, **of the request)"""

    def make(key, way="oauth2", configuration=CLIENT, **fields):
        instance = make_instance(
            element=shipped(key), authentication_type=way, configuration=configuration
        )
        return replace(platform_request(instance, actor="test"), **fields)

    return make


@pytest.mark.parametrize("domain", ["eu", "com.au", "com.cn"])
def test_a_code_is_redeemed_at_the_data_centre_that_the_callback_names(
    platform, internet, drafted, domain
):
    server, api = f"https://accounts.zoho.{domain}", f"https://www.zohoapis.{domain}"
    internet.answers[f"accounts.zoho.{domain}/oauth/v2/token"] = (200, TOKENS | {"api_domain": api})
    callback = {"code": "c-1", "location": "x", "accounts-server": server}
    sent = drafted("zohocrm", provider_data=callback)
    tokens = platform.create_instance(sent).tokens
    assert internet.hosts == [f"accounts.zoho.{domain}", f"www.zohoapis.{domain}"]
    assert internet.last.headers["authorization"] == "Zoho-oauthtoken a-1"
    connected = replace(sent, provider_data={}, tokens=TokenSet.from_json(tokens.to_json()))
    assert base_url_of(connected) == f"{api}/crm/v8"
    internet.requests.clear()
    platform.refresh_tokens(connected)
    assert internet.hosts == [f"accounts.zoho.{domain}"]


@pytest.mark.parametrize(
    "server",
    [
        "https://accounts.zoho.eu.evil.example",
        "https://evil.example",
        "http://accounts.zoho.eu",
        "https://evil.example/accounts.zoho.eu",
        "https://www.zohoapis.eu",
        "https://accounts.zoho.eu:8443@evil.example",
    ],
)
def test_no_code_goes_to_a_server_that_is_not_the_providers(platform, internet, drafted, server):
    callback = {"code": "c-1", "accounts-server": server}
    with pytest.raises(errors.InputError):
        platform.create_instance(drafted("zohocrm", provider_data=callback))
    assert internet.requests == []


def test_no_token_goes_to_an_api_domain_that_is_not_the_providers(platform, internet, drafted):
    callback = {"code": "c-1", "accounts-server": "https://accounts.zoho.eu"}
    answer = TOKENS | {"api_domain": "https://api.evil.example"}
    internet.answers["accounts.zoho.eu/oauth/v2/token"] = (200, answer)
    with pytest.raises(errors.HostNotAllowedError):
        platform.create_instance(drafted("zohocrm", provider_data=callback))
    assert internet.hosts == ["accounts.zoho.eu"]


def test_a_tenant_is_named_in_each_call(platform, internet, drafted):
    internet.answers["api.xero.com/connections"] = (200, [{"tenantId": "t-1"}, {"tenantId": "t-2"}])
    sent = drafted("xero", provider_data={"code": "c-1"}, code_verifier="v" * 50)
    tokens = platform.create_instance(sent).tokens
    assert internet.request_to("identity.xero.com").form["code_verifier"] == "v" * 50
    assert internet.last.headers["xero-tenant-id"] == "t-1"
    assert tokens.refresh_expires_at is not None


def test_user_scopes_stand_in_a_parameter_of_their_own_and_a_no_with_200_is_a_no(
    platform, internet, drafted
):
    draft = drafted("slack", configuration=CLIENT | {"oauth.scope": "chat:write"})
    query = parse_qs(urlsplit(platform.oauth_url(draft, state="s")).query)
    assert (query["user_scope"], "scope" in query) == (["chat:write"], False)
    user = {"ok": True, "authed_user": {"id": "U1", "access_token": "xoxp-1"}, "team": {"id": "T1"}}
    internet.answers["slack.com/api/oauth.v2.access"] = (200, user)
    internet.answers["slack.com/api/auth.test"] = (200, {"ok": True})
    sent = replace(draft, provider_data={"code": "c-1"})
    created = platform.create_instance(sent)
    assert (created.tokens.access_token, created.account["team.id"]) == ("xoxp-1", "T1")
    internet.answers["slack.com/api/auth.test"] = (200, {"ok": False, "error": "token_revoked"})
    with pytest.raises(errors.GrantRejectedError):
        platform.get_instance(replace(sent, tokens=created.tokens))


@pytest.mark.parametrize("is_developer", ["false", "true"])
def test_the_base_uri_of_the_account_is_looked_up(platform, internet, drafted, is_developer):
    host = "account-d.docusign.com" if is_developer == "true" else "account.docusign.com"
    account = {"account_id": "acc-1", "base_uri": "https://eu.docusign.net"}
    internet.answers[f"{host}/oauth/userinfo"] = (200, {"sub": "u-1", "accounts": [account]})
    configuration = CLIENT | {"docusign.developer": is_developer}
    sent = drafted("docusign", configuration=configuration, provider_data={"code": "c-1"})
    created = platform.create_instance(sent)
    assert set(internet.hosts) == {host}
    connected = replace(sent, tokens=created.tokens)
    assert base_url_of(connected) == "https://eu.docusign.net/restapi/v2.1/accounts/acc-1"
    assert created.account["sub"] == "u-1"


def test_a_server_signs_in_with_a_key_and_calls_the_instance_that_it_is_told(
    platform, internet, drafted
):
    answer = {"access_token": "a-1", "instance_url": "https://acme.my.salesforce.com"}
    internet.answers["test.salesforce.com/services/oauth2/token"] = (200, answer)
    configuration = {
        "oauth.api.key": "client-1",
        "salesforce.private.key": pem(rsa_key()),
        "salesforce.username": "ada@acme.example",
        "salesforce.login.host": "test.salesforce.com",
    }
    platform.create_instance(drafted("sfdc", "oauth2Application", configuration))
    assert internet.hosts == ["test.salesforce.com", "acme.my.salesforce.com"]


def test_tokens_that_end_are_asked_for(platform, internet, drafted):
    shop = drafted(
        "shopify",
        configuration=CLIENT | {"shopify.site.address": "https://acme.myshopify.com/"},
        provider_data={"code": "c-1"},
    )
    platform.create_instance(shop)
    assert internet.request_to("acme.myshopify.com").form["expiring"] == "1"
    desk = drafted("zendesk", configuration=CLIENT | {"zendesk.subdomain": "acme"})
    platform.refresh_tokens(replace(desk, tokens=TokenSet("a-1", "r-1")))
    assert internet.last.form["expires_in"] == "172800"


def claims_of(assertion):
    return json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))


def test_a_signed_grant_has_the_claims_that_the_provider_asks_for(platform, internet, drafted):
    configuration = {
        "oauth.api.key": "client-1",
        "oauth.api.secret": "secret-1",
        "box.private.key": pem(rsa_key()),
        "box.public.key.id": "key-1",
        "box.subject.id": "1234567",
    }
    platform.create_instance(drafted("box", "oauth2Application", configuration))
    form = internet.request_to("api.box.com").form
    claims = claims_of(form["assertion"])
    assert (claims["sub"], claims["box_sub_type"]) == ("1234567", "enterprise")
    assert (form["client_id"], form["client_secret"]) == ("client-1", "secret-1")


def test_a_certificate_signs_in_with_the_scope_as_a_claim(platform, internet, drafted):
    configuration = {
        "netsuite.account.domain": "1234567-sb1.suitetalk.api.netsuite.com",
        "netsuite.client.id": "client-1",
        "netsuite.certificate.id": "certificate-1",
        "netsuite.private.key": pem(rsa_key()),
    }
    platform.create_instance(drafted("netsuiteerpv2", "oauth2Application", configuration))
    host = "1234567-sb1.suitetalk.api.netsuite.com"
    claims = claims_of(internet.request_to(host).form["client_assertion"])
    assert claims["scope"] == "restlets,rest_webservices"
    assert claims["aud"] == f"https://{host}/services/rest/auth/oauth2/v1/token"


def test_a_saml_assertion_is_exchanged_and_recorded_nowhere(platform, internet, drafted):
    configuration = {
        "successfactors.api.server": "api55.sapsf.eu",
        "successfactors.company.id": "acmeT1",
        "oauth.api.key": "client-1",
        "successfactors.saml.assertion": "PHNhbWw+c2VjcmV0PC9zYW1sPg==",
    }
    platform.create_instance(drafted("successfactors", "oauth2AppSecret", configuration))
    form = internet.request_to("api55.sapsf.eu").form
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:saml2-bearer"
    assert (form["company_id"], form["client_id"]) == ("acmeT1", "client-1")
    assert form["assertion"] == "PHNhbWw+c2VjcmV0PC9zYW1sPg=="
    assert "c2VjcmV0" not in recorded()


@pytest.mark.parametrize(
    ("point", "hosts"),
    [
        ("https://api.eu2.adobesign.com/", ["api.eu2.adobesign.com"]),
        ("https://api.eu2.adobesign.com.evil.example/", []),
    ],
)
def test_a_code_is_redeemed_at_the_shard_that_the_callback_names(
    platform, internet, drafted, point, hosts
):
    configuration = CLIENT | {"authentication.variant": "v2", "oauth.scope": "user_read:self"}
    callback = {"code": "c-1", "api_access_point": point}
    sent = drafted("adobe-esign", configuration=configuration, provider_data=callback)
    try:
        platform.create_instance(sent)
    except errors.HostNotAllowedError:
        assert not hosts
    assert internet.hosts == hosts


def test_a_data_centre_is_looked_up_with_the_token(platform, internet, drafted):
    metadata = {"dc": "us21", "api_endpoint": "https://us21.api.mailchimp.com", "user_id": 7}
    internet.answers["login.mailchimp.com/oauth2/metadata"] = (200, metadata)
    sent = drafted("mailchimpv3", provider_data={"code": "c-1"})
    created = platform.create_instance(sent)
    assert internet.last.headers["authorization"] == "OAuth a-1"
    connected = replace(sent, tokens=created.tokens)
    assert base_url_of(connected) == "https://us21.api.mailchimp.com/3.0"


def test_a_provider_that_reads_json_gets_json_and_the_secret_is_recorded_nowhere(
    platform, internet, drafted
):
    answer = {
        "access_token": "a-1",
        "rest_instance_url": "https://acme.rest.marketingcloudapis.com/",
    }
    internet.answers["acme.auth.marketingcloudapis.com/v2/token"] = (200, answer)
    configuration = {
        "clientId": "client-1",
        "clientSecret": "s3cret-of-the-package",
        "marketing.cloud.subdomain": "acme",
    }
    draft = drafted("salesforcemarketingcloud", "oauth2AppSecret", configuration)
    assert platform.create_instance(draft).is_proved
    sent = internet.request_to("acme.auth.marketingcloudapis.com")
    assert sent.headers["content-type"] == "application/json"
    assert sent.json == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": "s3cret-of-the-package",
    }
    assert internet.hosts[1:] == ["acme.rest.marketingcloudapis.com"]
    assert "s3cret-of-the-package" not in recorded()


@pytest.mark.parametrize("method", ["client_secret_basic", "none"])
def test_json_requests_name_the_client_in_one_place(platform, internet, make_draft, method):
    fields = [{"key": name, "label": name, "secret": True} for name in CLIENT]
    way = {
        "type": "custom",
        "grant_type": "client_credentials",
        "token_endpoint": "https://acme.example/token",
        "token_endpoint_auth_method": method,
        "sends_json": True,
        "fields": fields,
    }
    platform.create_instance(make_draft(way, CLIENT))
    is_basic = method == "client_secret_basic"
    assert internet.last.headers.get("authorization", "").startswith("Basic ") is is_basic
    assert ("client_id" in internet.last.json) is not is_basic
    assert "client_secret" not in internet.last.json
