import pytest

from instances.api.authentication import REFUSAL
from instances.models import OrganizationUser
from instances.provisioning.access.organizations import rotate_secret
from tests.api.conftest import make_api_client
from tests.support.factories import make_user

pytestmark = pytest.mark.django_db


def secrets_of(api):
    user, organization = api.header.split(", ")
    return user.removeprefix("User "), organization.removeprefix("Organization ")


@pytest.mark.parametrize(
    "form",
    [
        "User {u}, Organization {o}",
        "Organization {o}, User {u}",
        "User {u},Organization {o}",
        "User  {u} ,   Organization   {o}",
        "user {u}, ORGANIZATION {o}",
        "User: {u}, Organization: {o}",
    ],
)
@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_the_header_is_taken_in_every_form_in_use(api, form, name):
    user, organization = secrets_of(api)
    header = form.format(u=user, o=organization)
    assert api.get("organizations/me", **{"Authorization": None, name: header}).status_code == 200


def test_a_secret_may_hold_equals_signs_slashes_and_pluses(api):
    api.user.secret = "a/b+c=d=="
    api.user.save()
    _, organization = secrets_of(api)
    header = f"User a/b+c=d==, Organization {organization}"
    assert api.get("organizations/me", Authorization=header).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic dXNlcjpwYXNz",
        "User {u}",
        "Organization {o}",
        "User wrong, Organization {o}",
        "User {u}, Organization wrong",
        "User {u}, User {u}, Organization {o}",
        "User {u}, Organization {o}, Element unknown",
        "User {u}, Organization {o}, Other thing",
        "User {u}, Organization {o},",
        "User {u} Organization {o}",
        "User {u}, Organization {foreign}",
        "Bearer nonsense",
        "User, Organization",
        "üser {u}, Organization {o}",
    ],
)
def test_whatever_is_missing_malformed_or_wrong_gets_one_message(api, header):
    other = make_api_client("Other", "bob@example.com")
    user, organization = secrets_of(api)
    if header:
        header = header.format(u=user, o=organization, foreign=secrets_of(other)[1])
    response = api.get("instances", Authorization=header)
    assert (response.status_code, response.json()["message"]) == (401, REFUSAL)
    assert "WWW-Authenticate" not in response


def test_a_public_call_needs_no_header_but_refuses_a_wrong_one(api):
    assert (
        api.get("elements/keys", Authorization=None).status_code == 404
    )  # the shipped ones: none yet
    assert api.get("elements/keys").json() == ["keyed"]
    assert api.get("elements/keys", Authorization="User x, Organization y").status_code == 401


def test_an_element_token_chooses_the_instance_and_lists_stay_lists(api, instance):
    second = api.post(
        "instances",
        {"element": {"key": "keyed"}, "configuration": {"api.key": "other-key", "site": "b"}},
    ).json()
    assert len(api.get("instances", element=instance["token"]).json()) == 2
    response = api.get(f"instances/{second['id']}", element=instance["token"])
    assert response.json()["id"] == second["id"]
    assert response["Elements-Element-Instance-Id"] == str(instance["id"])


def test_an_element_token_of_another_account_or_a_deleted_instance_is_refused(api, instance):
    other = make_api_client("Other", "bob@example.com")
    assert other.get("instances/configuration", element=instance["token"]).status_code == 401
    assert api.delete(f"instances/{instance['id']}").status_code == 200
    response = api.get("organizations/me", element=instance["token"])
    assert (response.status_code, response.json()["message"]) == (401, REFUSAL)


def test_paths_without_an_id_need_the_element_part(api, instance):
    for method, path in [
        ("PUT", "instances"),
        ("PATCH", "instances"),
        ("DELETE", "instances"),
        ("PUT", "instances/enabled"),
        ("GET", "instances/configuration"),
        ("GET", "instances/docs"),
    ]:
        assert api.call(method, path, {}).status_code == 401, (method, path)
    assert api.get(f"instances/{instance['id']}").status_code == 200


def test_a_rotated_secret_is_dead_at_once(api):
    rotate_secret(api.user)
    assert api.get("organizations/me").status_code == 401


def test_signing_in_with_a_password_gives_a_bearer_that_reads_the_secrets(api):
    account = make_user("ada", permissions=("reveal_secrets", "view_instance"))
    OrganizationUser.objects.filter(pk=api.user.pk).update(user=account)
    body = {"username": "ada", "password": "correct-horse"}
    signed_in = api.post("authentication", body, Authorization=None)
    bearer = f"Bearer {signed_in.json()['token']}"
    secrets = api.get("authentication/secrets", Authorization=bearer)
    user, organization = secrets_of(api)
    assert secrets.json() == {"userSecret": user, "organizationSecret": organization}
    assert api.get("instances", Authorization=bearer).status_code == 404
    assert api.get("authentication/secrets").status_code == 401
    rotate_secret(api.user)
    assert api.get("instances", Authorization=bearer).status_code == 401


@pytest.mark.parametrize(
    "body", [{"username": "ada", "password": "wrong"}, {"username": "x", "password": "y"}]
)
def test_a_wrong_password_is_refused(api, body):
    OrganizationUser.objects.filter(pk=api.user.pk).update(user=make_user("ada"))
    assert api.post("authentication", body, Authorization=None).status_code == 401


def test_too_many_calls_in_a_minute_are_told_when_to_go_on(api, settings, monkeypatch):
    monkeypatch.setattr("instances.api.rate_limit.time.time", lambda: 0.0)
    settings.API_CALLS_PER_MINUTE = 3
    answers = [api.get("organizations/me") for _ in range(8)]
    assert answers[0].status_code == 200
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert refused.json()["requestId"] == refused["Elements-Request-Id"]
