"""GET /instances/{id}/credentials: off by default, recorded, and never more than the credential itself."""

from datetime import timedelta

import pytest
from django.utils import timezone

from instances import counters
from instances.api.authentication import issue_bearer
from instances.models import Instance, Interaction, OrganizationUser
from tests.hubs.conftest import make_program
from tests.support.factories import make_user
from tests.support.provider_api import key_definition

NEVER = ("refresh-token", "secret-of-the-client", "client-secret")


def read(program, query="", **options):
    return program.api.get(f"instances/{program.instance.pk}/credentials{query}", **options)


@pytest.fixture
def allowed(db):
    def allow(program):
        OrganizationUser.objects.filter(pk=program.api.user.pk).update(may_read_credentials=True)
        return program

    return allow


def test_it_is_off_by_default(program):
    response = read(program)
    assert response.status_code == 403
    assert "access-token-0" not in response.content.decode()
    assert not Interaction.objects.filter(method="REVEAL").exists()


def test_an_access_token_is_read_and_recorded(program, allowed, provider_api):
    response = read(allowed(program))
    assert response.status_code == 200, response.content
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {
        "instanceId": program.instance.pk,
        "elementKey": "relayed",
        "baseUrl": f"{provider_api.url}/api",
        "scheme": "bearer",
        "accessToken": "access-token-0",
        "headers": {"Authorization": "Bearer access-token-0"},
        "expiresAt": None,
    }
    record = Interaction.objects.get(method="REVEAL")
    assert (record.actor, record.operation) == ("API: ada@example.com", "read credentials")
    assert record.instance_id == program.instance.pk
    assert "access-token-0" not in f"{record.url}{record.response_body}{record.request_body}"


def test_a_token_that_ends_too_soon_is_refreshed_first(program, allowed, provider_api):
    end_tokens(program)
    document = read(allowed(program), "?minimumLifetime=300").json()
    assert document["accessToken"] == "access-token-1"
    assert document["expiresAt"]
    assert not any(secret in str(document) for secret in NEVER)
    # The new one lasts an hour.
    assert read(program, "?minimumLifetime=3000").json()["accessToken"] == "access-token-1"
    counters.reset(f"credentials-refreshed:{program.instance.pk}")
    assert read(program, "?minimumLifetime=4000").json()["accessToken"] == "access-token-2"


def test_a_lifetime_that_no_token_has_does_not_refresh_at_each_call(program, allowed, provider_api):
    end_tokens(program)
    allowed(program)
    found = [read(program, "?minimumLifetime=86400").json()["accessToken"] for _ in range(3)]
    assert (found, provider_api.refreshes) == (["access-token-1"] * 3, 1)
    # One that has ended is of no use to anybody.
    end_tokens(program)
    assert read(program, "?minimumLifetime=86400").json()["accessToken"] == "access-token-2"


def end_tokens(program):
    Instance.objects.update(expires_at=timezone.now())
    stored = program.stored()
    stored.tokens = stored.tokens.reveal() | {"expires_at": timezone.now().isoformat()}
    stored.save()


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "86401", str(2**70)])
def test_an_invalid_lifetime_is_400(value, program, allowed):
    assert read(allowed(program), f"?minimumLifetime={value}").status_code == 400


def test_an_api_key_is_read(key_program, allowed):
    document = read(allowed(key_program)).json()
    assert (document["scheme"], document["accessToken"]) == ("apiKey", "k3y-of-the-account")
    assert document["headers"] == {"X-Api-Key": "k3y-of-the-account"}


@pytest.mark.parametrize(
    "api",
    [
        {"scheme": "basic", "username": "me", "password": "{api.key}"},
        {"scheme": "headers", "headers": {"X-Key": "{api.key}", "X-Other": "{other}"}},
    ],
)
def test_passwords_and_anything_else_are_refused(api, db, allowed, provider_api):
    definition = key_definition(provider_api.url)
    [way] = definition["authentication"]
    way["fields"].append({"key": "other", "label": "Other", "default": "x"})
    way["api"] = {"base_url": f"{provider_api.url}/api", **api}
    program = make_program(definition, {"api.key": "k3y-of-the-account"})
    response = read(allowed(program))
    assert response.status_code == 400
    assert "k3y-of-the-account" not in response.content.decode()


def test_a_disabled_instance_is_403(program, allowed):
    Instance.objects.update(is_disabled=True)
    assert read(allowed(program)).status_code == 403


def test_another_users_instance_is_404(program, allowed):
    from tests.api.conftest import make_api_client

    allowed(program)
    program.api = make_api_client("Other", "eve@example.com")
    allowed(program)
    assert read(program).status_code == 404


def test_people_cannot_read_it(program, allowed):
    user = make_user("boss", is_superuser=True)
    OrganizationUser.objects.update(user=user)
    program.api.user.refresh_from_db()
    bearer = issue_bearer(program.api.user, user)
    response = read(allowed(program), Authorization=f"Bearer {bearer}")
    assert response.status_code == 401


def test_a_failed_refresh_is_told(program, allowed, provider_api):
    Instance.objects.update(expires_at=timezone.now())
    stored = program.stored()
    ended = (timezone.now() - timedelta(hours=1)).isoformat()
    stored.tokens = stored.tokens.reveal() | {"expires_at": ended}
    stored.save()
    provider_api.is_refresh_refused = True
    response = read(allowed(program))
    assert response.status_code >= 400
    assert "access-token-0" not in response.content.decode()


def test_an_operator_allows_it_in_the_admin(program, client, admin_user):
    client.force_login(admin_user)
    url = f"/admin/instances/organizationuser/{program.api.user.pk}/change/"
    assert "May read credentials" in client.get(url).content.decode()
    client.post(url, {"email": "ada@example.com", "may_read_credentials": "on"})
    assert read(program).status_code == 200
