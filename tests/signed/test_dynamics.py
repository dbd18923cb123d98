"""Microsoft Dynamics CRM connected by an application, with a certificate or a secret (Entra v2.0), at a strict provider."""

import base64

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from django.urls import reverse

from instances.errors import AccessForbiddenError
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.status.explain import explain
from tests.conftest import shipped
from tests.signed.conftest import CLIENT_ID
from tests.support.assertion_provider import Registered
from tests.support.factories import make_instance, make_oauth_app
from tests.support.signing_keys import certificate, certificate_pem, pem, rsa_key

SECRET = "s3cret-of/the+application"
HOST = {"tenant_id": "acme-tenant", "dynamics.tenant": "acme.crm4.dynamics.com"}


@pytest.fixture
def dynamics(api, provider):
    api.user.organization.endpoint_overrides = {
        "dynamicscrmadfs": {
            "https://login.microsoftonline.com": provider.url,
            "https://login.microsoftonline.us": f"{provider.url}/us",
            "https://{dynamics.tenant}": provider.url,
        }
    }
    api.user.organization.save()
    return shipped("dynamicscrmadfs")


def body(**configuration):
    own = {"oauth.api.key": CLIENT_ID} | HOST | configuration
    return {"element": {"key": "dynamicscrmadfs"}, "name": "Acme", "configuration": own}


def with_secret(**configuration):
    return body(**{"oauth.api.secret": SECRET} | configuration)


def test_an_application_proves_itself_with_a_certificate(api, provider, dynamics):
    """PS256, x5t#S256, and the token endpoint as audience."""
    own = certificate(rsa_key())
    thumbprint = base64.urlsafe_b64encode(own.fingerprint(SHA256())).decode().rstrip("=")
    header = {"alg": "PS256", "x5t#S256": thumbprint}
    provider.clients[CLIENT_ID] = Registered(rsa_key().public_key(), header)
    key = pem(rsa_key()) + certificate_pem(own)
    created = api.post("instances", body(**{"oauth.api.private_key": key}))
    assert (created.status_code, provider.refusals) == (200, []), created.text
    assert provider.forms[0]["scope"] == "https://acme.crm4.dynamics.com/.default"
    assert Instance.objects.get().authentication_type == "oauth2Application"


def test_an_application_proves_itself_with_a_secret(api, provider, dynamics):
    provider.secrets[CLIENT_ID] = SECRET
    created = api.post("instances", with_secret())
    assert (created.status_code, provider.refusals) == (200, []), created.text
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET}
    assert provider.forms == [form | {"scope": "https://acme.crm4.dynamics.com/.default"}]
    assert provider.paths[0] == "/acme-tenant/oauth2/v2.0/token"
    assert Instance.objects.get().authentication_type == "oauth2AppSecret"
    assert created.json()["configuration"]["oauth.api.secret"] == "********"
    assert SECRET not in str([vars(one) for one in Interaction.objects.all()])


@pytest.mark.parametrize(
    ("entered", "host"),
    [
        ("https://ACME.crm4.dynamics.com/main.aspx?appid=1#x", "acme.crm4.dynamics.com"),
        ("http://acme.crm4.dynamics.com", "acme.crm4.dynamics.com"),
        ("acme.crm4.dynamics.com.", "acme.crm4.dynamics.com"),
        ("acme.api.crm4.dynamics.com", "acme.api.crm4.dynamics.com"),
        ("https://Acme.API.crm4.dynamics.com/api/data/v9.2/", "acme.api.crm4.dynamics.com"),
        ("acme.crm9.dynamics.com", "acme.crm9.dynamics.com"),
    ],
)
def test_the_address_is_taken_as_people_copy_it(api, provider, dynamics, entered, host):
    provider.secrets[CLIENT_ID] = SECRET
    created = api.post("instances", with_secret(**{"dynamics.tenant": entered}))
    assert created.status_code == 200, created.text
    assert provider.forms[0]["scope"] == f"https://{host}/.default"
    assert Instance.objects.get().secret_hosts == []


def test_the_secret_goes_to_the_sign_in_of_a_national_cloud(api, provider, dynamics):
    provider.secrets[CLIENT_ID] = SECRET
    host = {"dynamics.tenant": "acme.crm.microsoftdynamics.us"}
    cloud = {"authentication.variant": "entra-us-government"}
    created = api.post("instances", with_secret(**host, **cloud))
    assert created.status_code == 200, created.text
    assert provider.paths[0] == "/us/acme-tenant/oauth2/v2.0/token"


def test_a_wrong_secret_is_the_accounts_own_to_correct(api, provider, dynamics):
    provider.secrets[CLIENT_ID] = SECRET
    refused = api.post("instances", with_secret(**{"oauth.api.secret": "another"}))
    assert (refused.status_code, provider.refusals) == (400, ["unknown client, or another secret"])
    assert "rejected the credentials (HTTP 401" in refused.json()["message"]


def test_without_a_security_role_the_probe_says_what_is_missing(api, provider, dynamics):
    provider.secrets[CLIENT_ID] = SECRET
    provider.is_forbidden = True
    refused = api.post("instances", with_secret())
    assert refused.status_code == 403
    assert "application user of this app with a security role" in refused.json()["message"]


def test_a_lost_security_role_is_explained_on_the_instances_page(api, provider, dynamics):
    provider.secrets[CLIENT_ID] = SECRET
    api.post("instances", with_secret())
    provider.is_forbidden = True
    with pytest.raises(AccessForbiddenError):
        check_instance(Instance.objects.get(), actor="test")
    assert "security role" in explain(Instance.objects.get()).detail


@pytest.mark.parametrize(
    ("more", "way"),
    [
        ({}, "oauth2AppSecret"),
        ({"document.tagging": "true"}, "oauth2AppSecret"),
        ({"oauth.callback.url": "https://app.example/callback"}, "oauth2"),
    ],
)
def test_a_callback_url_tells_a_users_consent_from_an_application(
    api, provider, dynamics, more, way
):
    provider.secrets[CLIENT_ID] = SECRET
    answer = api.post("instances", with_secret(**more))
    expected = 200 if way == "oauth2AppSecret" else 400
    assert answer.status_code == expected, answer.text
    if expected == 400:
        assert "You must provide an OAuth code" in answer.json()["message"]


def test_imported_tokens_belong_to_a_user_although_a_secret_and_a_tenant_come_with_them(
    api, provider, dynamics
):
    imported = with_secret(**{"oauth.user.refresh_token": "refresh-token"})
    answer = api.post("instances", imported | {"externalAuthentication": "initial"})
    assert (answer.status_code, provider.forms) == (200, []), answer.text
    assert Instance.objects.get().authentication_type == "oauth2"


def test_the_organizations_oauth_app_never_acts_as_an_application(api, provider, dynamics):
    """Its secret would connect whoever entered the id of a tenant that lets the app in."""
    provider.secrets["client-of-the-app"] = "client-secret-of-the-app"
    make_oauth_app(
        organization=api.user.organization, element=dynamics, client_id="client-of-the-app"
    )
    configuration = HOST | {"authentication.type": "oauth2AppSecret"}
    refused = api.post("instances", body() | {"configuration": configuration})
    assert (refused.status_code, provider.forms) == (400, [])
    assert "oauth.api.key, oauth.api.secret" in refused.json()["message"]


REMAINS = "Delete its application user in the Power Platform admin center"


def test_before_and_after_the_deletion_it_says_where_the_access_remains(
    api, operator, provider, dynamics
):
    provider.secrets[CLIENT_ID] = SECRET
    api.post("instances", with_secret())
    url = reverse("admin:instances_instance_action", args=[Instance.objects.get().pk, "delete"])
    assert REMAINS in operator.get(url).text
    assert REMAINS in operator.post(url, follow=True).text
    assert not Instance.objects.exists()


def test_many_instances_say_it_once(api, operator, provider, dynamics):
    provider.secrets[CLIENT_ID] = SECRET
    api.post("instances", with_secret())
    api.post("instances", with_secret(**{"dynamics.tenant": "b.crm.dynamics.com"}))
    chosen = list(Instance.objects.values_list("pk", flat=True))
    data = {"action": "delete", "_selected_action": chosen}
    page = operator.post(reverse("admin:instances_instance_changelist"), data)
    assert page.text.count(REMAINS) == 1


@pytest.mark.parametrize("action", ["delete", "disable"])
def test_what_was_never_connected_or_stays_leaves_nothing_behind(operator, dynamics, action):
    draft = make_instance(
        element=dynamics, configuration={}, authentication_type="oauth2", is_incomplete=True
    )
    page = operator.get(reverse("admin:instances_instance_action", args=[draft.pk, action]))
    assert "myapps.microsoft.com" not in page.text
