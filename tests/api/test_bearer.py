"""The Bearer token from POST /authentication: what it allows, and when it stops working."""

import re

import pytest
from django.contrib.auth.models import Group, Permission, User

from instances.api.urls import api as platform_api
from instances.catalogue.configuration_keys import MASK
from instances.models import Instance, Interaction, OrganizationUser
from instances.provisioning.access.organizations import rotate_secret
from tests.api.conftest import KEYED_BODY, make_api_client
from tests.support.factories import make_user

pytestmark = pytest.mark.django_db

PASSWORD = "correct-horse"
CHANGES = {"PUT", "POST", "PATCH", "DELETE"}
# These answer everybody alike, whatever the header says.
WITHOUT_HEADER = {("POST", "/authentication")}


def operations():
    """Every operation of the API: method and path."""
    for path, methods in platform_api.get_openapi_schema()["paths"].items():
        for method in methods:
            pair = (method.upper(), path.removeprefix("/elements/api-v2"))
            if pair not in WITHOUT_HEADER:
                yield pair


OPERATIONS = sorted(operations())


class Bearer:
    """Call as a person who signed in with a password."""

    def __init__(self, api, user):
        self.api, self.user = api, user
        OrganizationUser.objects.filter(pk=api.user.pk).update(user=user)
        body = {"username": user.get_username(), "password": PASSWORD}
        self.signed_in = api.post("authentication", body, Authorization=None)
        assert self.signed_in.status_code == 200
        self.header = f"Bearer {self.signed_in.json()['token']}"

    def call(self, method, path, body=None):
        return self.api.call(method, path, body, Authorization=self.header)

    def get(self, path):
        return self.call("GET", path)


@pytest.fixture
def sign_in(api):
    """sign_in("viewer") or sign_in(permissions=[...]): with a role, or additional permissions."""

    def sign_in(group="", *, permissions=()):
        user = make_user(group or "nobody", permissions=tuple(permissions))
        if group:
            user.groups.add(Group.objects.get(name=group))
        return Bearer(api, user)

    return sign_in


def test_a_role_is_walked_over_all_operations():
    assert len(OPERATIONS) > 40
    assert {method for method, _ in OPERATIONS} == {"GET", "HEAD", "OPTIONS", *CHANGES}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_without_a_role_nothing_is_answered(sign_in, instance, method, path):
    url = "/elements/api-v2" + filled(path, instance)
    answer = sign_in().call(method, url, {})
    assert answer.status_code in refused(method, path, 403)
    assert instance["token"] not in answer.text


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_viewer_reads_and_changes_nothing_and_sees_no_secret(sign_in, instance, method, path):
    viewer = sign_in("viewer")
    url = "/elements/api-v2" + filled(path, instance)
    before = Instance.objects.values().get()
    answer = viewer.call(method, url, KEYED_BODY | {"propertyValue": "b"})
    if method in CHANGES or path == "/authentication/secrets":
        assert answer.status_code in refused(method, path, 403)
    elif path == "/elements/{key_or_id}/oauth/token":
        assert answer.status_code == 403  # the first step of connecting
    else:
        assert answer.status_code in {200, 404, *refused(method, path, 400)}
    assert Instance.objects.values().get() == before
    user = OrganizationUser.objects.get(pk=viewer.api.user.pk)
    secrets = (user.secret.reveal(), user.organization.secret.reveal(), instance["token"])
    assert [secret for secret in secrets if secret in answer.text] == []


def filled(path, instance):
    known = {"instance_id": instance["id"], "entry_id": instance["id"] * 1000, "account_id": 1}
    known |= {"key_or_id": "keyed", "key": "crm", "hub": "crm", "kind": "apiKey"}
    known |= {"email_or_id": "ada@example.com", "operation_id": "x"}
    known |= {"resource": "contacts", "record_id": "7", "child": "notes", "child_id": "8"}
    known |= {"path": "contacts", "name": "contacts", "version_id": "9"}
    return re.sub(r"{(?:\w+:)?(\w+)}", lambda found: str(known[found[1]]), path)


def refused(method, path, status):
    """Paths for an Element token, and those of hubs, do not accept a Bearer token."""
    takes_no_bearer = re.search(
        "ping$|credentials$|^/(?:proxy|objects|query|files)|^/hubs/{hub}/|^/{", path
    ) or (re.match(r"/instances(?!/count|/{)", path) and (method, path) not in COLLECTION)
    return {401, 403} if takes_no_bearer else {status}


COLLECTION = {("GET", "/instances"), ("POST", "/instances")}


def test_a_viewer_sees_its_instances_with_their_tokens_masked(sign_in, instance):
    viewer = sign_in("viewer")
    assert viewer.get(f"instances/{instance['id']}").json()["token"] == MASK
    for path in ("instances", "accounts/instances", "elements/keyed/instances"):
        assert [one["token"] for one in viewer.get(path).json()] == [MASK]
    assert viewer.get("organizations/me").json()["secret"] == MASK
    assert viewer.get(f"instances/{instance['id']}/interactions").status_code in {200, 404}


def test_staff_connect_change_and_delete_and_see_no_token_by_role(sign_in):
    staff = sign_in("staff")
    made = staff.call("POST", "instances", KEYED_BODY)
    assert (made.status_code, made.json()["token"]) == (200, MASK)
    path = f"instances/{made.json()['id']}"
    assert staff.call("PATCH", path, {"name": "B"}).json()["name"] == "B"
    assert staff.call("PUT", f"{path}/enabled").status_code == 200
    assert staff.call("DELETE", f"{path}/enabled").status_code == 200
    assert staff.call("DELETE", path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "instances", "add_instance"),
        ("PATCH", "instances/{id}", "change_instance"),
        ("PUT", "instances/{id}", "change_instance"),
        ("PUT", "instances/{id}/enabled", "change_instance"),
        ("DELETE", "instances/{id}/enabled", "change_instance"),
        ("DELETE", "instances/{id}/trace-logging", "change_instance"),
        ("DELETE", "instances/{id}", "delete_instance"),
        ("GET", "instances/{id}", "view_instance"),
        ("GET", "instances/{id}/interactions", "view_interaction"),
        ("GET", "authentication/secrets", "reveal_secrets"),
    ],
)
def test_each_call_needs_its_permission_and_no_other(sign_in, instance, method, path, needed):
    names = {"view_instance", "add_instance", "change_instance", "delete_instance"}
    names |= {"view_interaction", "reveal_secrets", "reveal_token"}
    somebody = sign_in(permissions=names - {needed})
    path = path.format(id=instance["id"])
    answer = somebody.call(method, path, KEYED_BODY)
    assert answer.status_code == 403
    assert needed in answer.json()["message"]
    somebody.user.user_permissions.set(Permission.objects.filter(codename=needed))
    assert somebody.call(method, path, KEYED_BODY).status_code in {200, 404}


def test_whoever_may_reveal_tokens_sees_one_at_a_time_and_it_is_recorded(sign_in, instance):
    somebody = sign_in("viewer", permissions=["reveal_token"])
    assert [one["token"] for one in somebody.get("instances").json()] == [MASK]
    assert not Interaction.objects.filter(method="REVEAL").exists()
    assert somebody.get(f"instances/{instance['id']}").json()["token"] == instance["token"]
    reveal = Interaction.objects.get(method="REVEAL")
    assert (reveal.actor, reveal.instance_id) == ("viewer", instance["id"])


def test_the_secrets_need_a_permission_of_their_own_and_are_recorded(sign_in):
    operator = sign_in("operator")
    refused = operator.get("authentication/secrets")
    assert refused.status_code == 403
    assert not Interaction.objects.exists()
    operator.user.user_permissions.add(Permission.objects.get(codename="reveal_secrets"))
    answer = operator.get("authentication/secrets")
    user = operator.api.user
    assert answer.json() == {
        "userSecret": user.secret.reveal(),
        "organizationSecret": user.organization.secret.reveal(),
    }
    reveal = Interaction.objects.get()
    assert (reveal.method, reveal.actor, reveal.operation) == (
        "REVEAL",
        "operator",
        "reveal platform secrets",
    )
    assert reveal.organization == user.organization
    assert "no-store" in answer["Cache-Control"]
    assert user.secret.reveal() not in str(list(Interaction.objects.values_list()))


def test_the_token_is_kept_by_no_cache(sign_in):
    assert "no-store" in sign_in("staff").signed_in["Cache-Control"]


def _change_password(bearer):
    bearer.user.set_password("an0ther-password")
    bearer.user.save()


def _deactivate(bearer):
    User.objects.filter(pk=bearer.user.pk).update(is_active=False)


def _untie(bearer):
    OrganizationUser.objects.filter(pk=bearer.api.user.pk).update(user=None)


def _tie_to_another(bearer):
    other = make_user("other", is_superuser=True)
    OrganizationUser.objects.filter(pk=bearer.api.user.pk).update(user=other)


def _rotate(bearer):
    rotate_secret(OrganizationUser.objects.get(pk=bearer.api.user.pk))


def _delete(bearer):
    bearer.user.delete()


ENDS = [_change_password, _deactivate, _untie, _tie_to_another, _rotate, _delete]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.strip("_"))
def test_the_token_ends_with_what_it_was_given_for(sign_in, instance, end):
    staff = sign_in("staff")
    assert staff.get("instances").status_code == 200
    end(staff)
    for path in ("instances", "elements/keys", "authentication/secrets"):
        assert staff.get(path).status_code == 401
    assert staff.call("DELETE", f"instances/{instance['id']}").status_code == 401


def test_a_role_that_is_taken_away_counts_at_once(sign_in, instance):
    staff = sign_in("staff")
    staff.user.groups.clear()
    assert staff.get("instances").status_code == 403


def test_a_person_acts_under_their_own_name(sign_in):
    staff = sign_in("staff")
    made = staff.call("POST", "instances", KEYED_BODY).json()
    row = Instance.objects.get(pk=made["id"])
    assert {change.actor for change in row.state_changes.all()} == {"API: staff"}


def test_a_token_reaches_its_own_organization_user_alone(sign_in, instance):
    other = make_api_client("Other", "bob@example.com")
    stranger = Bearer(other, make_user("stranger", is_superuser=True))
    assert stranger.get(f"instances/{instance['id']}").status_code == 404


@pytest.mark.parametrize("password", ["correct-horse", "wr0ng"])
def test_failures_alone_are_counted(api, password):
    user = make_user()
    OrganizationUser.objects.filter(pk=api.user.pk).update(user=user)
    body = {"username": "ada", "password": password}
    answers = [api.post("authentication", body, Authorization=None) for _ in range(30)]
    expected = {200} if password == PASSWORD else {401, 429}
    assert {answer.status_code for answer in answers} == expected
