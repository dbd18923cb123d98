"""The rows of the contract's 8.1 and 8.4 that need no header."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command

from instances.catalogue.loading import SHIPPED_FOLDER
from instances.models import Element
from tests.api.conftest import KEYED_BODY, make_api_client
from tests.conftest import shipped
from tests.support.factories import KEY_DEFINITION, make_element, make_oauth_app

pytestmark = pytest.mark.django_db


@pytest.fixture
def catalogue(api):
    return [shipped(key) for key in ("dynamicscrmadfs", "sfdc", "hubspot", "bamboohr")]


def public(api, path, **kwargs):
    return api.get(path, Authorization=None, **kwargs)


def test_elements_are_public_and_the_operators_own_are_not(api, catalogue):
    keys = {one["key"] for one in public(api, "elements").json()}
    assert keys == {"dynamicscrmadfs", "sfdc", "hubspot", "bamboohr"}
    assert "keyed" in {one["key"] for one in api.get("elements").json()}
    assert public(api, "elements/keyed").status_code == 404
    assert api.get("elements/keyed").json()["private"] is True


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("private='true' AND abridged='true'", ["keyed"]),
        ("private='false' AND key in ('sfdc', 'hubspot')", ["sfdc", "hubspot"]),
        ("key = 'sfdc'", ["sfdc"]),
        ("KEY=sfdc and name = 'Salesforce Sales Cloud'", ["sfdc"]),
        ("name = 'nobody''s, and mine'", []),
        ("extended='true' AND abridged='true'", []),
        ("key = 'nowhere'", []),
    ],
)
def test_elements_are_searched_and_no_hit_is_an_empty_list(api, catalogue, where, keys):
    response = api.django.get(
        "/elements/api-v2/elements", {"where": where}, headers={"Authorization": api.header}
    )
    assert response.status_code == 200
    assert [one["key"] for one in response.json()] == keys
    assert all(
        {"id", "key", "name", "private", "extended", "hub"} <= set(one) for one in response.json()
    )


@pytest.mark.parametrize(
    "where", ["1; DROP", "key = 'a' OR key = 'b'", "key != 'a'", "key LIKE 's%'", "key = 'a' AND"]
)
def test_a_where_that_makes_no_sense_is_refused(api, where):
    response = api.django.get(
        "/elements/api-v2/elements", {"where": where}, headers={"Authorization": api.header}
    )
    assert response.status_code == 400


@pytest.mark.parametrize("key_or_id", ["sfdc", "23"])
def test_an_element_is_read_by_key_and_by_id(api, catalogue, key_or_id):
    element = public(api, f"elements/{key_or_id}").json()
    assert (element["id"], element["key"], element["hub"]) == (23, "sfdc", "crm")
    assert element["typeOauth"] is True
    assert element["authentication"] == {"type": "oauth2"}
    keys = [entry["key"] for entry in element["configuration"]]
    assert keys[:3] == ["oauth.api.key", "oauth.api.secret", "oauth.callback.url"]
    assert public(api, f"elements/{key_or_id}/configuration").json() == element["configuration"]


def test_metadata_tell_of_events(api, catalogue):
    plain = public(api, "elements/23/metadata").json()
    assert set(plain) == {"id", "key", "name", "description", "events"}
    assert plain["events"] == {"supported": True, "methods": ["polling", "webhook"]}
    expanded = public(api, "elements/sfdc/metadata?expand=true").json()
    assert {"image", "active", "beta", "authenticationType", "cloneable"} <= set(expanded)
    assert len(public(api, "elements/metadata").json()) == 4
    assert public(api, "elements/4711/metadata").status_code == 404


def test_ways_of_authentication_have_their_configurations(api, catalogue):
    kinds = public(api, "elements/dynamicscrmadfs/authentication-types").json()
    assert [one["type"] for one in kinds] == [
        "custom",
        "oauth2",
        "oauth2Application",
        "oauth2AppSecret",
    ]
    entries = public(
        api, "elements/dynamicscrmadfs/authentication-types/custom/configurations"
    ).json()
    assert [one["key"] for one in entries][:2] == ["user.username", "user.password"]
    wrong = public(api, "elements/sfdc/authentication-types/oauth9/configurations")
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    ("kind", "label", "is_required"),
    [
        ("custom", "Client ID in Microsoft Entra ID", False),
        ("OAuth2", "OAuth Client ID in Azure AD", True),
    ],
)
def test_the_configurations_of_a_way_are_those_of_that_way(
    api, catalogue, kind, label, is_required
):
    path = f"elements/dynamicscrmadfs/authentication-types/{kind}/configurations"
    entries = public(api, path).json()
    [client] = [entry for entry in entries if entry["key"] == "oauth.api.key"]
    assert (client["name"], client["required"]) == (label, is_required)
    assert [entry["displayOrder"] for entry in entries] == list(range(len(entries)))
    every = public(api, "elements/dynamicscrmadfs/configuration").json()
    assert {(one["id"], one["key"]) for one in entries} < {(one["id"], one["key"]) for one in every}


def test_an_element_says_how_it_is_configured(api, catalogue):
    make_element(KEY_DEFINITION | {"config_description": "Copy the key from the settings."})
    own = api.get("elements/keyed").json()
    assert own["configDescription"] == "Copy the key from the settings."
    described = public(api, "elements/dynamicscrmadfs").json()["configDescription"]
    assert described.startswith("To connect Microsoft Dynamics CRM, enter User Name, ")
    listed = public(api, "elements?where=abridged='true'").json()
    assert all(one["configDescription"] for one in listed)
    api.post("instances", KEYED_BODY)
    [instance] = api.get("instances").json()
    assert instance["element"]["configDescription"] == own["configDescription"]


def test_expanded_metadata_have_every_field_of_the_element(api, catalogue):
    element = public(api, "elements/sfdc").json()
    metadata = public(api, "elements/sfdc/metadata").json()
    expanded = public(api, "elements/sfdc/metadata?expand=true").json()
    del element["configuration"]
    assert expanded == element | metadata | {"authenticationType": "oauth2"}
    assert {"image", "active", "beta", "cloneable", "hub", "typeOauth"} < expanded.keys()
    listed = public(api, "elements/metadata?expand=true").json()
    assert expanded in listed


def test_an_element_is_exported_as_its_document(api, catalogue):
    for key in ("dynamicscrmadfs", "190"):
        exported = public(api, f"elements/{key}/export").json()
        assert exported == public(api, "elements/dynamicscrmadfs").json()
    assert public(api, "elements/keyed/export").status_code == 404  # the operator's own
    assert api.get("elements/keyed/export").status_code == 200


def test_a_corrected_shipped_element_stays_public(api, catalogue, tmp_path):
    file = tmp_path / "sfdc.toml"
    text = (SHIPPED_FOLDER / "sfdc.toml").read_text()
    file.write_text(text.replace('name = "', 'name = "Corrected ', 1))
    call_command("sync_elements", file)
    element = public(api, "elements/sfdc").json()
    assert (element["name"][:9], element["private"]) == ("Corrected", False)
    assert "sfdc" in public(api, "elements/keys").json()
    private = api.get("elements?where=private='true'").json()
    assert [one["key"] for one in private] == ["keyed"]


def test_hubs(api, catalogue):
    hubs = {hub["key"]: hub for hub in public(api, "hubs").json()}
    assert set(hubs) == {"crm", "marketing", "humancapital"}
    assert public(api, "hubs/crm").json() == hubs["crm"]
    assert public(api, "hubs/keys").json() == sorted(hubs)
    assert {one["key"] for one in public(api, "hubs/crm/elements").json()} == {
        "dynamicscrmadfs",
        "sfdc",
    }
    assert public(api, "hubs/nowhere").status_code == 404
    assert public(api, "hubs/nowhere/elements").json()["message"] == "No elements found"


PARAMETERS = {
    "apiKey": "client",
    "apiSecret": "s3cret-of-the-client",
    "callbackUrl": "https://app.example/auth?x=1",
}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_oauth_url_is_made_for_anybody_and_never_holds_the_secret(api, catalogue, method):
    parameters = PARAMETERS | {"scope": "", "state": "a b/c"}
    path = "/elements/api-v2/elements/23/oauth/url"
    response = (
        api.django.get(path, parameters)
        if method == "GET"
        else api.django.post(path, parameters, content_type="application/json")
    )
    assert response.json()["element"] == "sfdc"
    url = urlsplit(response.json()["oauthUrl"])
    query = parse_qs(url.query)
    assert query["state"] == ["a b/c"]
    assert query["client_id"] == ["client"]
    assert query["redirect_uri"] == ["https://app.example/auth?x=1"]
    assert "s3cret-of-the-client" not in response.content.decode()


def test_the_state_is_the_elements_key_when_none_is_given(api, catalogue):
    response = api.django.get("/elements/api-v2/elements/sfdc/oauth/url", PARAMETERS)
    assert parse_qs(urlsplit(response.json()["oauthUrl"]).query)["state"] == ["sfdc"]


def test_site_address_fills_the_elements_key(api, catalogue):
    parameters = PARAMETERS | {"siteAddress": "https://acme.crm.dynamics.com/"}
    response = api.django.get("/elements/api-v2/elements/dynamicscrmadfs/oauth/url", parameters)
    query = parse_qs(urlsplit(response.json()["oauthUrl"]).query)
    assert query["scope"] == ["https://acme.crm.dynamics.com/user_impersonation offline_access"]
    assert "resource" not in query


@pytest.mark.parametrize(
    ("more", "start"),
    [
        ({}, "https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize?"),
        ({"tenant_id": "acme"}, "https://login.microsoftonline.com/acme/oauth2/v2.0/authorize?"),
        (
            {"authentication.variant": "entra-v1"},
            "https://login.microsoftonline.com/common/oauth2/authorize?",
        ),
        (
            {"authentication.variant": "entra-tenant", "tenant_id": "acme"},
            "https://login.microsoftonline.com/acme/oauth2/authorize?",
        ),
        (
            {"authentication.variant": "entra-us-government"},
            "https://login.microsoftonline.us/organizations/oauth2/v2.0/authorize?",
        ),
        (
            {"authentication.variant": "entra-china", "tenant_id": "acme"},
            "https://login.partner.microsoftonline.cn/acme/oauth2/v2.0/authorize?",
        ),
    ],
)
def test_each_cloud_and_version_of_entra_has_its_own_oauth_url(api, catalogue, more, start):
    parameters = PARAMETERS | {"siteAddress": "acme.crm.dynamics.com"} | more
    response = api.django.get("/elements/api-v2/elements/dynamicscrmadfs/oauth/url", parameters)
    url = response.json()["oauthUrl"]
    assert url.startswith(start)
    is_v1 = more.get("authentication.variant") in {"entra-v1", "entra-tenant"}
    query = parse_qs(urlsplit(url).query)
    assert ("resource" in query, "scope" in query) == (is_v1, not is_v1)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("elements/sfdc/oauth/url", 400, "apiKey, callbackUrl"),
        ("elements/nowhere/oauth/url?apiKey=a", 404, "nowhere"),
        ("elements/bamboohr/oauth/url?apiKey=a", 400, "no OAuth URL"),
        (
            "elements/sfdc/oauth/token?apiKey=a&apiSecret=b&callbackUrl=https://a.example",
            400,
            "OAuth 1",
        ),
    ],
)
def test_oauth_urls_that_cannot_be_made_say_why(api, catalogue, path, status, words):
    response = public(api, path)
    assert (response.status_code, words in response.json()["message"]) == (status, True)


def test_the_default_oauth_url_is_that_of_the_operators_app(api, catalogue):
    element = Element.objects.get(key="sfdc")
    make_oauth_app(organization=api.user.organization, element=element, client_id="the-app")
    answer = api.get("elements/23/oauth/url/default?apiKey=another&state=s")
    document = answer.json()
    query = parse_qs(urlsplit(document["oauthUrl"]).query)
    assert (query["client_id"], query["state"]) == (["the-app"], ["s"])
    assert document["element"] == "sfdc"
    assert document["configuration"] == {"secret": "********"}
    assert "client-secret-of-the-app" not in answer.text
    assert public(api, "elements/23/oauth/url/default").status_code == 401
    without = api.get("elements/hubspot/oauth/url/default?callbackUrl=https://app.example/auth")
    assert (without.status_code, "apiKey" in without.json()["message"]) == (400, True)


def test_who_is_who(api):
    other = make_api_client("Acme", "bob@example.com")
    assert other.user.organization == api.user.organization
    me = api.get("organizations/me").json()
    assert (me["name"], me["secret"]) == ("Acme", api.header.rpartition(" ")[2])
    users = api.get("users").json()
    assert users == api.get("organizations/users").json()
    assert {user["email"] for user in users} == {"ada@example.com", "bob@example.com"}
    assert all("secret" not in user for user in users)
    for name in ("ada@example.com", str(api.user.pk)):
        assert api.get(f"users/{name}").json()["id"] == api.user.pk
    assert api.get("users/nobody@example.com").status_code == 404
    [account] = api.get("accounts").json()
    assert account["defaultAccount"] is True
    assert api.get(f"accounts/{account['id']}").json() == account
    missing = api.get("accounts/123456")
    assert (missing.status_code, missing.json()["message"]) == (
        404,
        "No account found with ID 123456",
    )


def test_instances_of_an_account_are_short(api, instance):
    user = api.user.organization_id
    [short] = api.get("accounts/instances").json()
    assert api.get(f"accounts/{user}/instances").json() == [short]
    assert (short["id"], short["configuration"]) == (instance["id"], {})
    assert api.get("accounts/123456/instances").status_code == 404


def test_ping_tries_the_connection_whatever_the_hub(api, instance):
    user = api.header.split(",")[0]
    for path in ("ping", "hubs/nonsense/ping"):
        response = api.get(path, Authorization=f"{user}, Element {instance['token']}")
        assert response.json()["endpoint"] == "keyed"
        assert response["Elements-Element-Instance-Id"] == str(instance["id"])
    assert api.get("ping").status_code == 401
    api.delete(f"instances/{instance['id']}/enabled")
    assert api.get("ping", element=instance["token"]).status_code == 403
    assert api.get("instances", element=instance["token"]).status_code == 200
