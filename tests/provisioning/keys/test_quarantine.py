"""Rows with unreadable secrets in the API, on pages and in background work."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone

from instances.crypto import sealing
from instances.errors import CredentialsRefusedError
from instances.models import (
    BulkJob,
    Instance,
    Interaction,
    OAuthApp,
    Organization,
    OrganizationUser,
)
from instances.provisioning.keys import quarantine as quarantining
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.states import State, move_instance
from instances.provisioning.lifecycle.sweeps import refresh_due_instances, work_due_instances
from instances.provisioning.oauth.authorize import begin_authorization
from instances.provisioning.oauth.callback import complete_authorization
from tests.api.conftest import make_api_client
from tests.provisioning.keys.test_rotation import make_rows, write_raw
from tests.support.connected import make_connected, make_due
from tests.support.factories import (
    make_element,
    make_instance,
    make_oauth_app,
    make_organization,
    make_organization_user,
    make_user,
)
from tests.support.keyed import keyed_definition
from tests.support.provider import (
    API_KEY,
    CLIENT_ID,
    CLIENT_SECRET,
    ORGANIZATION_SECRET,
    USER_SECRET,
)

# Slow: long tables. make test has examples of them elsewhere.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
MASK = "********"
FIELDS = ["secret_configuration", "tokens", "token"]


def stored(row, column):
    return getattr(type(row).objects.get(pk=row.pk), column).ciphertext


# Ways to break a ciphertext, given it and that of another row.
CORRUPTIONS = {
    "empty": lambda own, other: "",
    "no dots": lambda own, other: "rubbish",
    "wrong base64": lambda own, other: own[:12] + "*" * 20,
    "unknown key": lambda own, other: f"v1.00000000.{own[12:]}",
    "truncated": lambda own, other: own[:-12],
    "only a beginning": lambda own, other: own[:12],
    "not ASCII": lambda own, other: own[:20] + "ü",
    "of another row": lambda own, other: other,
    "in clear": lambda own, other: "s3cret-in-clear.of.somebody",
}


# One of each, for tests that do not need all combinations.
SOME = [
    ("empty", "secret_configuration"),
    ("no dots", "tokens"),
    ("unknown key", "token"),
]


@pytest.fixture
def api(db):
    return make_api_client()


@pytest.fixture
def whole(provider, api):
    return make_connected(provider, organization_user=api.user, name="Whole")


@pytest.fixture
def instance(provider, api):
    return make_connected(provider, organization_user=api.user, name="Broken")


@pytest.fixture
def keyed(provider, api):
    """An instance connected with one key, which an API call can replace."""
    element = make_element(keyed_definition(provider.url))
    body = {"element": {"key": element.key}, "name": "Keyed", "configuration": {"api.key": API_KEY}}
    return Instance.objects.get(pk=api.post("instances", body).json()["id"])


def corrupt(row, column, kind="no dots", other=None):
    """Break the row's ciphertext; return the original."""
    own = stored(row, column)
    write_raw(row, column, CORRUPTIONS[kind](own, stored(other, column) if other else own[::-1]))
    return own


def quarantine(*arguments):
    out = io.StringIO()
    call_command("quarantine_unreadable", "--json", *arguments, stdout=out)
    return {
        name: [(row["model"], row["id"]) for row in rows]
        for name, rows in json.loads(out.getvalue()).items()
        if rows
    }


@pytest.fixture(params=["before the command", "after it"])
def when(request):
    return (lambda: None) if request.param == "before the command" else quarantine


@pytest.mark.parametrize("column", FIELDS)
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_broken_row_does_not_break_lists_and_its_health_says_why(
    api, instance, whole, kind, column
):
    corrupt(instance, column, kind, other=whole)
    before = answers_about(api, instance, whole)
    quarantine()
    assert answers_about(api, instance, whole) == before


def answers_about(api, instance, whole):
    """A broken row looks the same in the API before and after it is marked."""
    found = {row["name"]: row for row in api.get("instances").json()}
    broken = found["Broken"]
    assert (broken["valid"], broken["configuration"], broken["token"]) == (False, {}, MASK)
    assert api.get(f"instances/{instance.pk}").json() == broken
    assert (found["Whole"]["valid"], found["Whole"]["token"]) == (True, whole.token.reveal())
    health = api.get(f"instances/{instance.pk}/health")
    assert (health.status_code, health.json()["valid"]) == (200, False)
    assert "cannot be read" in health.json()["cause"]
    assert "delete it" in health.json()["advice"]
    assert "s3cret-in-clear" not in health.text
    return broken, health.json()["cause"]


@pytest.mark.parametrize("column", FIELDS)
def test_no_call_returns_500_for_a_broken_row(api, keyed, when, column):
    write_raw(keyed, column, "rubbish")
    when()
    path = f"instances/{keyed.pk}"
    answers = [
        api.get("instances/count"),
        api.get(f"{path}/configuration"),
        api.get(f"{path}/interactions"),
        api.patch(path, {"name": "Renamed"}),
        api.patch(path, {"configuration": {"api.key": MASK}}),
        api.patch(f"{path}?reAuthenticate=false", {"configuration": {"note": "mine"}}),
        api.delete(f"{path}/enabled"),
        api.put(f"{path}/enabled"),
        api.get("instances", element=MASK),
    ]
    assert {answer.status_code for answer in answers} <= {200, 401, 409}


def test_calls_that_need_the_secrets_are_rejected_with_a_sentence(api, keyed):
    corrupt(keyed, "secret_configuration")
    answer = api.patch(
        f"instances/{keyed.pk}?reAuthenticate=false", {"configuration": {"note": "mine"}}
    )
    assert answer.status_code == 409
    message = answer.json()["message"]
    assert f"of instance {keyed.pk} (Keyed) cannot be read." in message
    assert "Enter it again" in message


@pytest.mark.parametrize(("kind", "column"), SOME)
def test_a_broken_row_can_be_deleted_and_what_remains_is_recorded(
    api, instance, when, kind, column
):
    corrupt(instance, column, kind)
    when()
    assert api.delete(f"instances/{instance.pk}").status_code == 200
    assert not Instance.objects.filter(pk=instance.pk).exists()
    recorded = Interaction.objects.filter(method="DELETE", error__contains="deleted only here")
    # If only the Element token is unreadable, the provider can still be told.
    assert recorded.exists() is (column != "token")


def test_the_scheduler_deletes_nothing_that_it_cannot_read(instance):
    corrupt(instance, "tokens")
    row = Instance.objects.get(pk=instance.pk)
    move_instance(row, State.DELETING, expect={State.CONNECTED}, actor="test", why="Test.")
    Instance.objects.update(next_action_at=timezone.now() - timedelta(minutes=1))
    work_due_instances()
    left = Instance.objects.get(pk=instance.pk)
    assert (left.state, left.cause) == ("deleting", "secrets_unreadable")


@pytest.mark.parametrize("column", ["secret_configuration", "token"])
def test_new_secrets_repair_it_and_keep_id_and_history(api, keyed, when, column):
    before = keyed.token.reveal()
    corrupt(keyed, column)
    when()
    answer = api.patch(f"instances/{keyed.pk}", {"configuration": {"api.key": API_KEY}})
    document = answer.json()
    assert (answer.status_code, document["valid"], document["id"]) == (200, True, keyed.pk)
    assert (document["token"] == before) is (column != "token")
    assert api.get("instances/configuration", element=document["token"]).status_code == 200
    row = Instance.objects.get(pk=keyed.pk)
    assert (row.is_readable, row.quarantined_at, row.state, row.cause) == (
        True,
        None,
        "connected",
        "",
    )
    assert quarantine() == {}


def test_all_secrets_must_be_given_again(api, provider):
    definition = keyed_definition(provider.url)
    definition["authentication"][0]["fields"].append(
        {"key": "api.pin", "label": "PIN", "required": False, "secret": True}
    )
    element = make_element(definition)
    secrets = {"api.key": API_KEY, "api.pin": "0000"}
    body = {"element": {"key": element.key}, "name": "Two", "configuration": secrets}
    row = Instance.objects.get(pk=api.post("instances", body).json()["id"])
    corrupt(row, "secret_configuration")
    some = api.patch(f"instances/{row.pk}", {"configuration": {"api.key": API_KEY}})
    assert some.status_code == 400
    assert "api.pin" in some.json()["message"]
    assert api.patch(f"instances/{row.pk}", {"configuration": secrets}).json()["valid"] is True


@pytest.mark.parametrize("column", FIELDS)
def test_a_new_authorization_repairs_it(provider, instance, when, column):
    user = make_user(is_superuser=True)
    corrupt(instance, column)
    when()
    row = Instance.objects.get(pk=instance.pk)
    client = {"oauth.api.key": CLIENT_ID, "oauth.api.secret": CLIENT_SECRET}
    begun = begin_authorization(row, user=user, browser_secret="b", configuration=client)
    complete_authorization(provider.authorize(begun.url), user=user, browser_secret="b")
    row = Instance.objects.get(pk=instance.pk)
    assert (row.state, row.is_readable, row.quarantined_at) == ("connected", True, None)
    check_instance(row, actor="test")


@pytest.mark.parametrize("column", FIELDS)
def test_a_marked_row_is_skipped_until_its_key_is_back(instance, whole, column):
    own = corrupt(instance, column, "unknown key")
    assert quarantine("--dry-run") == {"marked": [("instance", instance.pk)]}
    assert quarantine() == {"marked": [("instance", instance.pk)]}
    assert quarantine() == {"still": [("instance", instance.pk)]}
    row = Instance.objects.get(pk=instance.pk)
    assert (row.state, row.cause) == ("needs_reauthorization", "secrets_unreadable")
    make_due(instance)
    Instance.objects.update(next_action_at=timezone.now() - timedelta(minutes=1))
    assert refresh_due_instances().total == 0
    # The healthy instance is still checked.
    assert (work_due_instances().total, whole.is_connected) == (1, True)

    write_raw(instance, column, own)
    assert quarantine() == {"released": [("instance", instance.pk)]}
    row = Instance.objects.get(pk=instance.pk)
    assert (row.state, row.cause, row.quarantined_at) == ("connected", "", None)
    assert refresh_due_instances().succeeded == 1


@pytest.mark.django_db
def test_a_secret_that_is_entered_again_meanwhile_is_not_marked(monkeypatch):
    organization = make_organization()
    write_raw(organization, "secret", "v1.0.AA")
    find = quarantining.unreadable_row

    def enter_and_find(row, reasons):
        found = find(row, reasons)
        if reasons:
            current = Organization.objects.get(pk=row.pk)
            current.secret = "entered-again"
            current.save()
        return found

    monkeypatch.setattr(quarantining, "unreadable_row", enter_and_find)
    assert [one.pk for one in quarantining.quarantine_unreadable().changing] == [organization.pk]
    assert Organization.objects.get().quarantined_at is None


def test_what_needed_reauthorization_before_needs_it_afterwards(api, keyed, provider):
    provider.override = (401, {})
    for _ in range(2):  # after the first rejection, the provider is asked again
        with pytest.raises(CredentialsRefusedError):
            check_instance(Instance.objects.get(pk=keyed.pk), actor="test")
    own = corrupt(keyed, "secret_configuration")
    quarantine()
    write_raw(keyed, "secret_configuration", own)
    quarantine()
    row = Instance.objects.get(pk=keyed.pk)
    assert (row.state, row.cause) == ("needs_reauthorization", "credentials_rejected")


def test_with_a_lost_key_all_rows_can_be_marked_and_the_program_is_ready(
    instance, settings, client
):
    make_rows(2)
    make_oauth_app(organization=instance.organization, element=instance.element)
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    assert client.get("/readyz").json()["encryption_keys"] is False
    marked = {model for model, _ in quarantine()["marked"]}
    assert marked == {"organization", "organizationuser", "oauthapp", "bulkrow", "instance"}
    assert client.get("/readyz").json()["encryption_keys"] is True


def test_one_broken_row_does_not_take_the_program_out_of_service(instance, whole, client):
    corrupt(instance, "token")
    assert client.get("/readyz").json()["encryption_keys"] is True


@pytest.mark.parametrize(("kind", "column"), SOME)
def test_every_page_of_a_broken_row_says_what_to_do(instance, when, kind, column):
    browser = Client()
    browser.force_login(make_user("operator", is_superuser=True))
    corrupt(instance, column, kind)
    when()
    admin, own = f"/admin/instances/instance/{instance.pk}", f"/connect/{instance.pk}"
    for path in [f"{admin}/change/", f"{own}/"]:
        page = browser.get(path)
        assert page.status_code == 200
        assert "cannot be read" in page.text
        assert "connect it again with all of its secrets, or delete it" in page.text
    assert "Unreadable: its encryption key is missing" in browser.get(f"{admin}/change/").text
    others = [
        "/admin/",
        "/admin/instances/instance/",
        f"{admin}/actions/reauthenticate/",
        f"{admin}/actions/delete/",
        "/connect/",
        f"{own}/reauthenticate/",
        f"{own}/link/",
        f"{own}/delete/",
    ]
    answers = {path: browser.get(path, follow=True).status_code for path in others}
    assert set(answers.values()) == {200}, answers
    for path in [f"{admin}/actions/check/", f"{admin}/actions/authorize/", f"{own}/link/"]:
        assert browser.post(path).status_code in {200, 302}
    form = browser.get(f"{admin}/actions/reauthenticate/").text
    assert ("Leave blank to keep the current value." in form) is (column != "secret_configuration")
    browser.post(f"{admin}/actions/delete/", follow=True)
    assert not Instance.objects.filter(pk=instance.pk).exists()


def test_staff_disconnect_a_broken_row_by_themselves(instance):
    browser = Client()
    browser.force_login(make_user("operator", is_superuser=True))
    corrupt(instance, "secret_configuration")
    browser.post(f"/connect/{instance.pk}/delete/")
    assert not Instance.objects.filter(pk=instance.pk).exists()


def test_a_broken_client_secret_is_named_and_entered_again(provider, api):
    app_owner = make_connected(provider, organization_user=api.user)
    app = make_oauth_app(organization=app_owner.organization, element=app_owner.element)
    draft = make_instance(
        organization_user=api.user,
        element=app_owner.element,
        authentication_type="oauth2",
        configuration={},
        name="By app",
    )
    corrupt(app, "client_secret")
    quarantine()
    browser = Client()
    browser.force_login(make_user("operator", is_superuser=True))
    refused = browser.post(f"/admin/instances/instance/{draft.pk}/actions/authorize/", follow=True)
    assert f"The client secret of OAuth app {app.pk}" in refused.text
    page = f"/admin/instances/oauthapp/{app.pk}/change/"
    assert "enter a new secret" in browser.get(page).text
    assert browser.get("/admin/instances/oauthapp/").status_code == 200
    entered = {
        "organization": app.organization_id,
        "element": app.element_id,
        "client_id": CLIENT_ID,
        "new_client_secret": CLIENT_SECRET,
    }
    browser.post(page, entered)
    app = OAuthApp.objects.get(pk=app.pk)
    assert (app.is_readable, app.quarantined_at) == (True, None)


@pytest.mark.parametrize("model", [Organization, OrganizationUser])
@pytest.mark.parametrize("kind", ["empty", "no dots", "unknown key"])
def test_a_broken_platform_secret_is_named_and_entered_again(provider, model, kind):
    make_element()
    organization = make_organization(
        name="Remote", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    user = make_organization_user(organization=organization, secret=USER_SECRET)
    instance = make_instance(organization_user=user)
    owner = organization if model is Organization else user
    corrupt(owner, "secret", kind)
    marked = quarantine()
    assert marked == {"marked": [(model._meta.model_name, owner.pk)]}
    browser = Client()
    browser.force_login(make_user("operator", is_superuser=True))
    refused = browser.post(
        f"/admin/instances/instance/{instance.pk}/actions/provision/", follow=True
    )
    assert refused.status_code == 200
    page = browser.get(f"/admin/instances/{model._meta.model_name}/{owner.pk}/change/")
    assert "Unreadable: its encryption key is missing" in page.text
    owner = model.objects.get(pk=owner.pk)
    owner.secret = ORGANIZATION_SECRET if model is Organization else USER_SECRET
    owner.save()
    assert model.objects.get(pk=owner.pk).quarantined_at is None


def test_a_broken_row_of_a_file_fails_with_a_sentence_and_the_others_go_on(provider):
    job = make_rows(3)
    element = make_element(keyed_definition(provider.url))
    for row in job.rows.all():
        row.body = {
            "element": {"key": element.key},
            "name": row.body.reveal()["name"],
            "configuration": {"api.key": API_KEY},
        }
        row.element_key = element.key
        row.save()
    broken = job.rows.get(number=2)
    corrupt(broken, "body")
    assert quarantine() == {"marked": [("bulkrow", broken.pk)]}
    BulkJob.objects.filter(pk=job.pk).update(state="running", started_at=timezone.now())
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 3 rows failed"):
        call_command("resume_bulk_job", str(job.pk), stdout=out)
    outcomes = list(job.rows.order_by("number").values_list("outcome", flat=True))
    assert outcomes == ["succeeded", "failed", "succeeded"]
    assert "cannot be read" in job.rows.get(number=2).error


def test_a_broken_authorization_fails_with_a_sentence(provider, instance):
    user = make_user(is_superuser=True)
    browser = Client()
    browser.force_login(user)
    browser.cookies["oauth_browser"] = "b"
    begun = begin_authorization(instance, user=user, browser_secret="b")
    answer = provider.authorize(begun.url)
    corrupt(begun.authorization, "code_verifier")
    page = browser.get("/oauth/callback", answer)
    assert page.status_code < 500
    begun.authorization.refresh_from_db()
    assert begun.authorization.outcome == "failed"


@pytest.mark.parametrize(
    "path", ["/admin/instances/instance/add/{user}/{element}/", "/connect/catalogue/{key}/"]
)
def test_a_new_instance_that_a_broken_oauth_app_is_for_is_refused_in_a_sentence(
    provider, api, instance, path
):
    app = make_oauth_app(organization=instance.organization, element=instance.element)
    corrupt(app, "client_secret")
    browser = Client()
    user = make_user("operator", is_superuser=True)
    OrganizationUser.objects.filter(pk=api.user.pk).update(user=user)
    browser.force_login(user)
    place = {"user": api.user.pk, "element": instance.element_id, "key": instance.element.key}
    page = browser.post(f"{path.format(**place)}?owner={api.user.pk}", {"name": "New"})
    assert page.status_code == 200
    assert f"The client secret of OAuth app {app.pk}" in page.text
