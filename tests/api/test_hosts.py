"""Where secrets go: the operator's to their allowed hosts, stored ones to the host that they were entered for."""

from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client

from instances.errors import HostNotAllowedError, InstancesError
from instances.models import Element, Instance, Interaction
from instances.provisioning.create import create_draft
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.oauth.authorize import begin_authorization
from tests.api.conftest import make_api_client
from tests.conftest import shipped
from tests.support.factories import make_element, make_oauth_app, make_user
from tests.support.internet import Internet, lead_everything_to

CODE = {"code": "c0de"}
OWN_CLIENT = {"oauth.api.key": "own-client", "oauth.api.secret": "own-s3cret"}
CALLBACK = {"oauth.callback.url": "https://acme.example/callback"}
APP_SECRET = "client-secret-of-the-app"
CLIENT_FIELDS = [
    {"key": "oauth.api.key", "label": "Client ID", "secret": True},
    {"key": "oauth.api.secret", "label": "Client secret", "secret": True},
    {"key": "oauth.callback.url", "label": "Callback"},
]
PASSWORD_WAY: dict[str, Any] = {
    "type": "custom",
    "grant_type": "password",
    "token_endpoint": "{base.url}/token",
    "username_key": "username",
    "password_key": "password",
    "fields": [
        {"key": "base.url", "label": "Address", "type": "url", "required": True},
        {"key": "username", "label": "User"},
        {"key": "password", "label": "Password", "secret": True},
        *CLIENT_FIELDS,
    ],
    "probe": {"url": "{base.url}/me", "scheme": "bearer"},
}
PASSWORD = {"base.url": "https://crm.example", "username": "ada", "password": "p4ssword"}


@pytest.fixture
def internet(settings, monkeypatch):
    with Internet() as internet:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [internet.netloc]
        lead_everything_to(internet, monkeypatch)
        yield internet


@pytest.fixture
def operator(db):
    client = Client()
    client.force_login(make_user("operator", is_superuser=True))
    return client


@pytest.fixture
def api(db):
    cache.clear()
    return make_api_client()


@pytest.fixture
def salesforce(api):
    """Salesforce with the operator's OAuth app; returns the app."""
    return make_oauth_app(organization=api.user.organization, element=shipped("sfdc"))


def begin(instance, *, actor):
    """An authorization, as a page starts it."""
    return begin_authorization(instance, user=make_user(actor), browser_secret="x" * 40)


def element_of(*ways, key="tested"):
    definition = {"key": key, "id": 900300, "name": "Tested", "hub": "crm", "description": "-"}
    return make_element(definition | {"authentication": list(ways)})


def connect(api, element, configuration, **more):
    body = {"name": "Acme", "configuration": configuration} | more
    return api.post(f"elements/{element}/instances", body)


def connected(api, element, configuration, **more):
    answer = connect(api, element, configuration, **more)
    assert answer.status_code == 200, answer.content
    return Instance.objects.get(pk=answer.json()["id"])


def sent(internet):
    return "".join(f"{one.path} {one.query} {one.headers} {one.body}" for one in internet.requests)


@pytest.mark.parametrize(
    "host",
    ["login.salesforce.com", "TEST.Salesforce.Com", "https://acme.my.salesforce.com/lightning", "test.salesforce.com."],
)  # fmt: skip
def test_the_operators_secret_goes_to_the_providers_hosts(host, api, internet, salesforce):
    connected(api, "sfdc", {"site.address": host}, providerData=CODE)
    assert APP_SECRET in sent(internet)
    assert {one.rpartition(".salesforce.com")[2] for one in internet.hosts} == {""}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "https://evil.example/login.salesforce.com", "login.salesforce.com.evil.example",
        "evilsalesforce.com", "salesforce.com", "evil.example:443", "127.0.0.1", "2130706433", "localhost",
    ],
)  # fmt: skip
def test_the_operators_secret_goes_to_no_other_host(host, api, internet, salesforce):
    answer = connect(api, "sfdc", {"site.address": host}, providerData=CODE)
    assert answer.status_code == 400
    assert "site.address" in answer.json()["message"]
    assert "is not allowed for Salesforce Sales Cloud" in answer.json()["message"]
    url = api.post("elements/sfdc/oauth/url", {"site.address": host})
    assert url.status_code == 400
    assert internet.requests == []
    assert not Instance.objects.exists()
    assert not Interaction.objects.exists()


@pytest.mark.parametrize(
    "host",
    [
        "login。salesforce。com", "login%2esalesforce.com", "user@login.salesforce.com", "login.salesforce.com@evil.example",
        "evil.example\\.salesforce.com", "evil.example#.salesforce.com", "evil.example?.salesforce.com", "[::1]",
        "login.salesforce.com\n.evil.example", "evil.example\t.salesforce.com", "bücher.salesforce.com",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(host, api, internet, salesforce):
    assert connect(api, "sfdc", {"site.address": host}, providerData=CODE).status_code == 400
    assert internet.requests == []


def test_an_operator_lists_further_hosts_on_the_oauth_app(api, internet, salesforce):
    salesforce.hosts = ["*.intranet.example"]
    salesforce.save()
    connected(api, "sfdc", {"site.address": "sso.intranet.example"}, providerData=CODE)
    assert set(internet.hosts) == {"sso.intranet.example"}
    refused = connect(api, "sfdc", {"site.address": "intranet.example"}, providerData=CODE)
    assert refused.status_code == 400


def test_ones_own_client_may_go_to_any_host_that_is_named_with_it(api, internet, salesforce):
    configuration = {**OWN_CLIENT, **CALLBACK, "site.address": "crm.example"}
    connected(api, "sfdc", configuration, providerData=CODE)
    assert set(internet.hosts) == {"crm.example"}
    assert APP_SECRET not in sent(internet)


def test_a_code_is_not_spent_where_the_account_could_not_be_asked_afterwards(api, internet):
    shipped("sharepoint")
    make_oauth_app(
        organization=api.user.organization, element=Element.objects.get(key="sharepoint")
    )
    configuration = {"sharepoint.site.address": "evil.example"}
    assert connect(api, "sharepoint", configuration, providerData=CODE).status_code == 400
    assert internet.requests == []


@pytest.mark.parametrize("verb", [provision_instance, begin])
def test_an_oauth_app_that_comes_later_does_not_go_along_either(verb, api, internet):
    element = shipped("dynamicscrmadfs")
    instance = create_draft(
        api.user,
        element,
        actor="test",
        authentication_type="custom" if verb is provision_instance else "oauth2",
        configuration={
            "user.username": "ada",
            "user.password": "p4ss",
            "dynamics.tenant": "evil.example",
        },
        is_incomplete=True,
    )
    make_oauth_app(organization=api.user.organization, element=element)
    with pytest.raises(HostNotAllowedError, match=r"evil\.example"):
        verb(instance, actor="test")
    assert internet.requests == []


def test_an_authorization_does_not_begin_at_another_host_with_a_stored_secret(
    api, internet, operator
):
    shipped("sfdc")
    own = {"site.address": "crm.example"} | OWN_CLIENT | CALLBACK
    instance = connected(api, "sfdc", own, providerData=CODE)
    internet.requests.clear()
    url = f"/admin/instances/instance/{instance.pk}/actions/reauthenticate/"

    def reauthenticate(**entered):
        return operator.post(url, {f"configuration.{key}": one for key, one in entered.items()})

    page = reauthenticate(**CALLBACK, **{"site.address": "evil.example"})
    assert "Stored secrets are only sent to the host that they were entered for" in page.text
    page = reauthenticate(**CALLBACK, **OWN_CLIENT, **{"site.address": "elsewhere.example"})
    assert page["Location"].startswith("https://elsewhere.example/")
    assert internet.requests == []


@pytest.fixture
def instance(api, internet):
    """A connected account with its own password at crm.example; earlier requests are cleared."""
    element_of(PASSWORD_WAY)
    instance = connected(api, "tested", PASSWORD | OWN_CLIENT)
    internet.requests.clear()
    return instance


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("query", ["", "?reAuthenticate=false"])
@pytest.mark.parametrize(
    "given",
    [{}, {"password": "********"}, {"password": ""}, {"password": "p4ssword"}, {"username": "eve"}],
)
def test_a_stored_secret_does_not_follow_another_host(
    method, query, given, api, internet, instance
):
    moved = given | {"base.url": "https://evil.example"}
    answer = api.call(method, f"instances/{instance.pk}{query}", {"configuration": moved})
    assert answer.status_code == 400
    message = answer.json()["message"]
    assert "base.url" in message
    assert "evil.example" in message
    assert "oauth.api.secret" in message
    instance.refresh_from_db()
    assert instance.configuration["base.url"] == "https://crm.example"
    assert internet.requests == []


def test_one_entry_does_not_lead_them_away_either(api, internet, instance):
    entries = api.get(f"instances/{instance.pk}/configuration").json()
    entry = next(one["id"] for one in entries if one["key"] == "base.url")
    change = {"propertyValue": "https://evil.example"}
    answer = api.patch(f"instances/{instance.pk}/configuration/{entry}", change)
    assert answer.status_code == 400
    assert Instance.objects.get().configuration["base.url"] == "https://crm.example"


def test_with_all_secrets_given_again_the_host_changes(api, internet, instance):
    moved = PASSWORD | OWN_CLIENT | {"base.url": "https://new.example"}
    answer = api.patch(f"instances/{instance.pk}", {"configuration": moved})
    assert answer.status_code == 200, answer.content
    assert set(internet.hosts) == {"new.example"}
    internet.requests.clear()
    check_instance(Instance.objects.get(), actor="test")
    refresh_instance(Instance.objects.get(), actor="test")
    assert set(internet.hosts) == {"new.example"}


def test_tokens_stay_where_they_came_from_though_all_secrets_are_given(api, internet, instance):
    moved = PASSWORD | OWN_CLIENT | {"base.url": "https://evil.example"}
    path = f"instances/{instance.pk}?reAuthenticate=false"
    answer = api.patch(path, {"configuration": moved})
    assert answer.status_code == 400
    assert "Authenticate again" in answer.json()["message"]


def test_a_way_back_to_the_first_host_takes_the_secrets_of_that_one(api, internet, instance):
    moved = PASSWORD | OWN_CLIENT | {"base.url": "https://new.example", "password": "new-p4ssword"}
    assert api.patch(f"instances/{instance.pk}", {"configuration": moved}).status_code == 200
    back = {"configuration": {"base.url": "https://crm.example"}}
    assert api.patch(f"instances/{instance.pk}", back).status_code == 400


@pytest.mark.parametrize(
    "written",
    ["https://CRM.Example", "https://crm.example:443/", "https://crm.example/sub/path", "https://crm.example."],
)  # fmt: skip
def test_another_spelling_of_the_same_host_is_no_change(written, api, internet, instance):
    answer = api.patch(f"instances/{instance.pk}", {"configuration": {"base.url": written}})
    assert answer.status_code == 200, answer.content
    assert {one.partition(":")[0].rstrip(".") for one in internet.hosts} == {"crm.example"}


@pytest.mark.parametrize(
    "written", ["https://crm.example:8443", "https://crm.example:80", "http://crm.example:443"]
)
def test_another_port_is_another_host(written, api, internet, instance):
    moved = {"configuration": {"base.url": written}}
    assert api.patch(f"instances/{instance.pk}", moved).status_code == 400
    assert internet.requests == []


def test_what_went_encrypted_does_not_go_in_clear(api, internet, instance):
    for query in ("", "?reAuthenticate=false"):
        moved = {"configuration": {"base.url": "http://crm.example"}}
        assert api.patch(f"instances/{instance.pk}{query}", moved).status_code == 400
    assert internet.requests == []


def test_the_operators_secret_does_not_go_in_clear(api, internet):
    base_url = {
        "key": "base.url",
        "label": "Address",
        "required": True,
        "hosts": ["*.zone.example"],
    }
    element = element_of(PASSWORD_WAY | {"fields": [base_url, *PASSWORD_WAY["fields"][1:]]})
    make_oauth_app(organization=api.user.organization, element=element)
    answer = connect(api, "tested", PASSWORD | {"base.url": "http://acme.zone.example"})
    assert answer.status_code == 400
    assert internet.requests == []
    connected(api, "tested", PASSWORD | {"base.url": "https://acme.zone.example"})


def test_an_old_refresh_token_does_not_go_to_a_new_host(api, internet):
    configuration = {**OWN_CLIENT, **CALLBACK, "site.address": "crm.example"}
    shipped("sfdc")
    instance = connected(api, "sfdc", configuration, providerData=CODE)
    internet.override = (200, {"access_token": "only-an-access-token"})
    moved = {"configuration": configuration | {"site.address": "new.example"}}
    answer = api.patch(f"instances/{instance.pk}", moved | {"providerData": {"code": "another"}})
    assert answer.status_code == 200, answer.content
    internet.override = None
    internet.requests.clear()
    with pytest.raises(InstancesError):
        refresh_instance(Instance.objects.get(), actor="test")
    assert "refresh-token-of-the-internet" not in sent(internet)


def test_a_new_element_file_does_not_lead_stored_secrets_to_a_host_that_nobody_named_as_one(
    api, internet
):
    element_of(PASSWORD_WAY)
    given = PASSWORD | OWN_CLIENT | {"elsewhere": "evil.example"}
    instance = connected(api, "tested", given)
    internet.requests.clear()
    element_of(PASSWORD_WAY | {"token_endpoint": "https://{elsewhere}/token"})
    for verb in (refresh_instance, check_instance):
        try:
            verb(Instance.objects.get(pk=instance.pk), actor="test")
        except InstancesError:
            continue
    assert "evil.example" not in internet.hosts


def test_a_variant_does_not_lead_them_away(api, internet):
    variant = {"name": "other", "token_endpoint": "https://{elsewhere}/token"}
    elsewhere = {"key": "elsewhere", "label": "Elsewhere"}
    fields = [*PASSWORD_WAY["fields"], elsewhere]
    element_of(PASSWORD_WAY | {"fields": fields, "variants": [variant]})
    instance = connected(api, "tested", PASSWORD | OWN_CLIENT | {"elsewhere": "evil.example"})
    internet.requests.clear()
    for query in ("", "?reAuthenticate=false"):
        change = {"configuration": {"authentication.variant": "other"}}
        assert api.patch(f"instances/{instance.pk}{query}", change).status_code == 400
    assert internet.requests == []


def test_a_host_that_is_known_for_something_else_does_not_count(api, internet):
    """A URL that only receives tokens does not become one that receives the password."""
    api_field = {"key": "api.host", "label": "API"}
    way = PASSWORD_WAY | {
        "fields": [*PASSWORD_WAY["fields"], api_field],
        "probe": {"url": "https://{api.host}/me", "scheme": "bearer"},
    }
    element_of(way)
    instance = connected(api, "tested", PASSWORD | OWN_CLIENT | {"api.host": "other.example"})
    moved = {"configuration": {"base.url": "https://other.example"}}
    assert api.patch(f"instances/{instance.pk}", moved).status_code == 400


def test_every_part_of_a_host_must_be_allowed(api, internet):
    part, zone = (
        {"key": "part", "label": "Part", "required": True, "hosts": ["*.zone.example"]},
        {"key": "zone", "label": "Zone", "required": True, "hosts": []},
    )
    way = PASSWORD_WAY | {
        "token_endpoint": "https://{part}.{zone}/token",
        "fields": [part, zone, *PASSWORD_WAY["fields"][1:]],
        "probe": None,
    }
    element = element_of(way)
    app = make_oauth_app(organization=api.user.organization, element=element)
    named = {"username": "ada", "password": "p4ssword", "part": "acme", "zone": "zone.example"}
    answer = connect(api, "tested", named)
    assert answer.status_code == 400
    assert "acme.zone.example" in answer.json()["message"]
    app.hosts = ["*.zone.example"]
    app.save()
    connected(api, "tested", named)
    assert internet.hosts == ["acme.zone.example"]


@pytest.mark.parametrize("client", ["app", "own"])
@pytest.mark.parametrize(
    ("location", "is_sent"), [("eu.zone.example", True), ("evil.example", False)]
)
def test_what_a_callback_names_must_fit_the_providers_hosts(
    client, location, is_sent, api, internet
):
    way = {
        "type": "oauth2",
        "grant_type": "authorization_code",
        "authorization_endpoint": "https://login.zone.example/authorize",
        "token_endpoint": "https://{location}/token",
        "provider_data": ["code", "location"],
        "provider_data_hosts": {"location": ["*.zone.example"]},
        "fields": CLIENT_FIELDS,
    }
    element = element_of(way)
    if client == "app":
        make_oauth_app(organization=api.user.organization, element=element)
    configuration = OWN_CLIENT | CALLBACK if client == "own" else {}
    answer = connect(api, "tested", configuration, providerData=CODE | {"location": location})
    assert answer.status_code == (200 if is_sent else 400)
    assert internet.hosts == ([location] if is_sent else [])


def test_what_a_token_answer_names_must_fit_them_too(api, internet):
    way = {
        "type": "oauth2",
        "grant_type": "authorization_code",
        "authorization_endpoint": "https://login.zone.example/authorize",
        "token_endpoint": "https://login.zone.example/token",
        "provider_data": ["code", "instance_url"],
        "provider_data_hosts": {"instance_url": ["*.zone.example"]},
        "fields": CLIENT_FIELDS,
        "probe": {"url": "{instance_url}/me", "scheme": "bearer"},
    }
    make_oauth_app(organization=api.user.organization, element=element_of(way))
    internet.override = (200, {"access_token": "t0ken", "instance_url": "https://evil.example"})
    assert connect(api, "tested", {}, providerData=CODE).status_code == 400
    assert internet.hosts == ["login.zone.example"]
    internet.override = (200, {"access_token": "t0ken", "instance_url": "https://a.zone.example"})
    connected(api, "tested", {}, providerData=CODE | {"code": "another"})
    assert internet.hosts[-1] == "a.zone.example"


def test_an_endpoint_override_counts_as_allowed(api, internet, salesforce):
    organization = api.user.organization
    organization.endpoint_overrides = {
        "sfdc": {"https://{site.address}/": "https://practice.example/"}
    }
    organization.save()
    connected(api, "sfdc", {"site.address": "evil.example"}, providerData=CODE)
    assert set(internet.hosts) == {"practice.example"}


def test_imported_tokens_do_not_bring_the_operators_secret_to_their_host(api, internet, salesforce):
    configuration = {"site.address": "evil.example", "oauth.user.refresh_token": "mine"}
    answer = connect(api, "sfdc", configuration, externalAuthentication="initial")
    assert answer.status_code == 400
    assert internet.requests == []


def test_instances_that_are_older_than_this_rule_stay_at_their_host(api, internet, instance):
    Instance.objects.update(secret_hosts=None)
    check_instance(Instance.objects.get(), actor="test")
    assert set(internet.hosts) == {"crm.example"}
    moved = {"configuration": {"base.url": "https://evil.example"}}
    assert api.patch(f"instances/{instance.pk}", moved).status_code == 400


def test_no_public_address_of_the_caller_gets_the_operators_client(api, internet, salesforce):
    for parameters in ({"siteAddress": "evil.example"}, {"site.address": "evil.example"}):
        for path in ("elements/sfdc/oauth/url", "elements/sfdc/oauth/url/default"):
            query = "&".join(f"{name}={value}" for name, value in parameters.items())
            assert api.get(f"{path}?{query}").status_code == 400


def test_a_dry_run_tells_of_hosts_that_are_not_allowed(api, internet, salesforce, tmp_path, capsys):
    element = element_of(PASSWORD_WAY)
    make_oauth_app(organization=api.user.organization, element=element)
    file = tmp_path / "rows.csv"
    file.write_text(
        "name,element,base.url,username,password\nAcme,tested,https://evil.example,ada,p4ss\n"
    )
    with pytest.raises(CommandError):
        call_command("provision_instances", str(file), "--user", api.user.email, "--dry-run")
    assert "evil.example" in "".join(capsys.readouterr())
    assert internet.requests == []


def test_an_element_of_an_earlier_version_allows_its_operators_hosts_alone(api, internet):
    element = element_of(PASSWORD_WAY)
    app = make_oauth_app(organization=api.user.organization, element=element)
    assert connect(api, "tested", PASSWORD).status_code == 400
    app.hosts = ["crm.example"]
    app.save()
    connected(api, "tested", PASSWORD)
    assert set(internet.hosts) == {"crm.example"}
