"""Answers of a remote platform that make no sense end in a clear state, and take nothing from another instance."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from instances import errors
from instances.bulk.files.lines import FileRow
from instances.bulk.jobs import start_bulk_job
from instances.bulk.reading import read_bulk_job
from instances.bulk.running import runner as bulk_runs
from instances.bulk.running.runner import run_chunk
from instances.models import Instance, Interaction, StateChange
from instances.provisioning.importing import import_instances
from instances.provisioning.lifecycle import provision
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.provision import provision_instance, without_conflicts
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.lifecycle.reconcile import reconcile_instance
from instances.provisioning.lifecycle.states import State, insert_in_state
from tests.api.conftest import KEYED_BODY, ApiClient
from tests.support.bulk import body, outcomes, pass_time
from tests.support.factories import (
    make_element,
    make_instance,
    make_organization,
    make_organization_user,
)
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET, Provider

# Slow: long tables. make test has examples of them elsewhere.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

GOOD = {"id": 4711, "token": "element-token-of-the-platform"}
DEEP = "[" * 50_000
SENSELESS = {
    "an id beyond bigint": GOOD | {"id": 2**63},
    "an id of 400 digits": GOOD | {"id": 10**400},
    "a negative id": GOOD | {"id": -1},
    "an id of nothing": GOOD | {"id": 0},
    "an id that is a word": GOOD | {"id": "4711x"},
    "an id that is true": GOOD | {"id": True},
    "an id that is no number": GOOD | {"id": float("nan")},
    "half an id": GOOD | {"id": 4711.5},
    "no id": GOOD | {"id": None},
    "no token": GOOD | {"token": None},
    "an empty token": GOOD | {"token": ""},
    "a blank token": GOOD | {"token": "  "},
    "a masked token": GOOD | {"token": "********"},
    "a token of 10 MB": GOOD | {"token": "x" * 10_000_000},
    "a token of 100 kB": GOOD | {"token": "x" * 100_000},
    "a token with NUL": GOOD | {"token": "to\x00ken"},
    "a token with a line break": GOOD | {"token": "to\r\nken"},
    "a token with half a surrogate pair": GOOD | {"token": "to\ud800ken"},
    "a token that is a number": GOOD | {"token": 4711},
    "tags that are none": GOOD | {"tags": 7},
    "a list": [GOOD],
    "a word": "created",
    "a page": "<html>Welcome</html>",
    "nothing": "",
    "half a document": '{"id": 4711, "tok',
    "deep nesting": '{"id": 4711, "token": "t", "x": ' + DEEP,
    "deep nesting that ends": '{"id": 4711, "tokens": ' + "[" * 2_000 + "]" * 2_000 + "}",
}
senseless = pytest.mark.parametrize("answer", SENSELESS.values(), ids=SENSELESS)


class NamingProvider(Provider):
    """A platform that answers creations with what it is told to: given, by the instance's name."""

    def __init__(self):
        super().__init__()
        self.given = {}

    def answer(self, request):
        status, answer = super().answer(request)
        if request.method == "POST" and (given := self.given.get(answer.get("name"))) is not None:
            if not isinstance(given, dict):
                return status, given
            answer |= given
        return status, answer


@pytest.fixture
def provider(settings):
    with NamingProvider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        yield provider


@pytest.fixture
def user(provider):
    organization = make_organization(
        name="Remote", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    make_element()
    return make_organization_user(organization=organization, secret=USER_SECRET)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    """What is put off is not waited for."""
    monkeypatch.setattr(bulk_runs, "CHUNK_PATIENCE_SECONDS", 0.0)


@pytest.fixture
def far(user):
    return make_instance(organization_user=user, name="Far")


def connected(user, name, **columns):
    """Another instance here, as it was provisioned or imported before."""
    instance = Instance(
        organization_user=user,
        element=make_element(),
        name=name,
        authentication_type="apiKey",
        **columns,
    )
    instance.tag_names = []
    insert_in_state([instance], State.CONNECTED, actor="test", why="Imported.")
    return instance


def is_as_before(instance):
    row = Instance.objects.get(pk=instance.pk)
    assert (row.state, row.remote_id) == ("connected", instance.remote_id)
    return row.token.reveal() == instance.token.reveal()


def cause_of(instance):
    instance.refresh_from_db()
    assert instance.cause_message.startswith(f"{instance.label}: ")
    assert len(instance.cause_message) < 1000
    return instance.cause_message


@senseless
def test_a_creation_answered_without_sense_is_unknown_until_the_platform_is_asked(
    provider, far, answer
):
    provider.override = (200, answer)
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    assert "The platform will be asked before anything is sent again" in cause_of(far)
    assert (far.state, far.remote_id, far.token.reveal()) == ("unknown", None, "")
    provider.override = None
    pass_time()
    far.refresh_from_db()
    check_instance(far, actor="test")
    assert (far.state, list(provider.instances)) == ("connected", [far.remote_id])


@pytest.mark.parametrize(
    "answer",
    [SENSELESS["an id beyond bigint"], SENSELESS["a token with half a surrogate pair"], []],
)
def test_the_api_answers_502_and_keeps_the_instance_as_unknown(provider, user, answer):
    cache.clear()
    api = ApiClient(user, USER_SECRET, ORGANIZATION_SECRET)
    provider.override = (200, answer)
    response = api.post("instances", KEYED_BODY)
    assert response.status_code == 502
    assert "Acme (keyed, id " in response.json()["message"]
    assert Instance.objects.get().state == "unknown"


@senseless
def test_an_answer_without_sense_to_the_question_for_its_tag_changes_nothing(provider, far, answer):
    provider.mode = "cut before"
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    provider.mode = "obey"
    pass_time()
    tagged = answer | {"tags": [f"im-{far.uid}"]} if isinstance(answer, dict) else answer
    provider.override = (200, [tagged] if isinstance(answer, dict) else answer)
    if answer == [GOOD] or answer == SENSELESS["tags that are none"]:
        provider.override = (200, [GOOD | {"tags": f"im-{far.uid}"}])
    far.refresh_from_db()
    with pytest.raises(errors.PlatformError):
        reconcile_instance(far, actor="test")
    far.refresh_from_db()
    assert (far.state, far.remote_id) == ("unknown", None)


def test_strangers_in_the_answer_for_its_tag_need_make_no_sense(provider, far):
    provider.mode = "cut after"
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    provider.mode = "obey"
    own = next(iter(provider.instances.values()))
    provider.override = (200, [{"id": 2**70, "tags": ["other"]}, {}, own, own])
    pass_time()
    far.refresh_from_db()
    reconcile_instance(far, actor="test")
    assert (far.state, far.remote_id) == ("connected", own["id"])
    assert [one.method for one in provider.requests] == ["POST", "GET"]


@senseless
def test_a_check_answered_without_sense_leaves_a_connected_instance_as_it_was(
    provider, far, answer
):
    provision_instance(far, actor="test")
    before = (far.remote_id, far.token.reveal())
    provider.override = (200, answer)
    with pytest.raises(errors.PlatformError, match=r"Far \(keyed"):
        check_instance(far, actor="test")
    with pytest.raises(errors.PlatformError, match=r"Far \(keyed"):
        reauthenticate_instance(far, actor="test", configuration={"api.key": "another-k3y"})
    far.refresh_from_db()
    assert (far.state, far.remote_id, far.token.reveal()) == ("connected", *before)
    assert far.secret_configuration.reveal() == {"api.key": "k3y-of-the-account"}


def test_an_answer_about_another_instance_proves_nothing(provider, far):
    provision_instance(far, actor="test")
    provider.override = (200, GOOD | {"id": far.remote_id + 1, "tags": []})
    with pytest.raises(errors.UnusableAnswerError, match=f"was asked for {far.remote_id}"):
        check_instance(far, actor="test")


IDENTITIES = pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"id": 77}, "the id 77"),
        ({"token": "token-of-the-other"}, "the Element token"),
        ({"id": 77, "token": "token-of-the-other"}, "the id 77"),
    ],
    ids=["id", "token", "both"],
)


@IDENTITIES
def test_a_creation_never_takes_over_what_belongs_to_another_instance(
    provider, user, far, given, what
):
    other = connected(user, "Other", remote_id=77, token="token-of-the-other")
    provider.given = {"Far": given}
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    assert f"the platform's response contains {what}, which belongs to {other.label}." in cause_of(
        far
    )
    assert (far.state, far.remote_id, far.token.reveal()) == ("unknown", None, "")
    assert is_as_before(other)


@IDENTITIES
def test_what_still_belongs_to_another_once_the_platform_was_asked_has_failed(
    provider, user, far, given, what
):
    other = connected(user, "Other", remote_id=77, token="token-of-the-other")
    provider.given = {"Far": given}
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    pass_time()
    far.refresh_from_db()
    with pytest.raises(errors.IdentityConflictError):
        check_instance(far, actor="test")
    assert f"{what}, which belongs to {other.label}." in cause_of(far)
    assert (far.state, far.cause) == ("failed", "identity_conflict")
    assert is_as_before(other)
    delete_instance(far, actor="test")
    assert is_as_before(other)
    assert not [
        one for one in provider.requests if (one.method, one.path[-3:]) == ("DELETE", "/77")
    ]


def test_a_create_that_is_repeated_once_is_not_repeated_for_ever(provider, user, far):
    connected(user, "Other", remote_id=77, token="token-of-the-other")
    provider.override = (200, GOOD | {"id": 77})
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    provider.override = None
    pass_time()
    far.refresh_from_db()
    provider.given = {"Far": {"id": 77, "tags": []}}
    with pytest.raises(errors.IdentityConflictError):
        check_instance(far, actor="test")
    assert [one.method for one in provider.requests] == ["POST", "GET", "POST"]
    far.refresh_from_db()
    assert (far.state, far.next_action_at) == ("failed", None)


def test_another_organizations_instance_is_not_named(provider, far):
    elsewhere = connected(make_organization_user(), "Their secret project", token="their-token")
    provider.given = {"Far": {"token": "their-token"}}
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    assert "the Element token, which belongs to another instance here." in cause_of(far)
    assert "project" not in cause_of(far)
    assert is_as_before(elsewhere)


def test_another_organization_may_have_the_same_id_at_its_platform(provider, far):
    connected(make_organization_user(), "Theirs", remote_id=77, token="their-token")
    provider.given = {"Far": {"id": 77}}
    provision_instance(far, actor="test")
    assert far.remote_id == 77


def test_what_another_process_stored_in_the_meantime_ends_as_unknown(
    provider, user, far, monkeypatch
):
    """As if the other instance appeared between the look and the store."""
    look = without_conflicts

    def look_too_early(creations, **options):
        monkeypatch.setattr(provision, "without_conflicts", look)
        connected(user, "Other", remote_id=77, token="token-of-the-other")
        return list(creations)

    monkeypatch.setattr(provision, "without_conflicts", look_too_early)
    provider.given = {"Far": {"id": 77}}
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    assert "the id 77, which belongs to Other" in cause_of(far)
    assert (far.state, far.remote_id, far.token.reveal()) == ("unknown", None, "")


def test_one_bad_row_never_fails_its_bulk_batch(provider, user):
    provider.given = {f"Row {2 * number}": bad for number, bad in enumerate(SENSELESS.values(), 1)}
    job = start(user, 2 * len(SENSELESS))
    run_chunk(job)
    assert outcomes(job) == {"succeeded": len(SENSELESS), "pending": len(SENSELESS)}
    for row in job.rows.filter(outcome="pending"):
        assert (row.instance.state, row.number % 2) == ("unknown", 0)
        assert f"Row {row.number} (keyed" in row.error


def test_what_two_rows_of_a_bulk_job_are_answered_alike_belongs_to_the_first(provider, user):
    other = connected(user, "Other", remote_id=77, token="token-of-the-other")
    provider.given = {
        "Row 2": {"id": 900},
        "Row 3": {"id": 900},
        "Row 4": {"token": "one-token"},
        "Row 5": {"token": "one-token"},
        "Row 6": {"id": 77},
        "Row 7": {"token": "token-of-the-other"},
    }
    job = start(user, 10)
    run_chunk(job)
    assert outcomes(job) == {"succeeded": 6, "pending": 4}
    errors_of = dict(job.rows.exclude(error="").values_list("number", "error"))
    assert "the id 77, which belongs to Other" in errors_of[6]
    assert "the Element token, which belongs to Other" in errors_of[7]
    assert is_as_before(other)
    assert not Instance.objects.filter(state="provisioning").exists()
    finish(job)
    assert outcomes(job) == {"succeeded": 6, "failed": 4}
    assert not Instance.objects.filter(state__in=["provisioning", "unknown"]).exists()
    assert is_as_before(other)


def test_a_list_with_entries_that_make_no_sense_is_imported_without_them(provider, user):
    good = {"element": {"key": "keyed", "authentication": {"type": "apiKey"}}, "name": "Good"}
    listed = [
        good | one | {"name": "Bad"} for one in SENSELESS.values() if isinstance(one, dict)
        if len(str(one.get("token"))) < 10_000
    ]  # fmt: skip
    strange: list[Any] = [
        good | GOOD | {"name": "n" * 5_000},
        good | GOOD | {"tags": ["a\ud800b"]},
        good | GOOD | {"configuration": {"site": "a\ud800"}},
        good | GOOD | {"configuration": {"si\x00te": "a"}},
        good | GOOD | {"configuration": {"site": "a\x00"}},
        good | GOOD | {"element": {"key": "a\x00b"}},
        good | GOOD | {"element": {"key": "unknown"}},
        good | GOOD | {"element": None},
        good | GOOD | {"tags": ["t" * 5_000]},
        [],
        None,
        "word",
    ]
    fine = [
        good | {"id": 1, "token": "token-1", "name": "a\ud800\x00b"},
        good | {"id": 2**63 - 1, "token": "token-2"},
    ]
    provider.override = (200, [fine[0], *listed, *strange, fine[1]])
    found = list(import_instances(user, actor="test"))
    assert len(found) == len(listed) + len(strange) + 2
    assert [one.error for one in found if one.is_new] == ["", ""]
    assert all(one.error and one.instance is None for one in found if not one.is_new)
    assert all(len(one.error) < 600 for one in found)
    assert set(Instance.objects.values_list("name", flat=True)) == {"a?b", "Good"}


def test_a_listed_token_of_another_instance_is_not_imported(provider, user):
    other = connected(user, "Other", remote_id=77, token="token-of-the-other")
    elsewhere = connected(make_organization_user(), "Theirs", token="their-token")
    good = {"element": {"key": "keyed", "authentication": {"type": "apiKey"}}, "name": "Listed"}
    provider.override = (
        200,
        [
            good | {"id": 78, "token": "token-of-the-other"},
            good | {"id": 79, "token": "their-token"},
            good | {"id": 80, "token": "token-80"},
            good | {"id": 81, "token": "token-80"},
        ],
    )
    found = list(import_instances(user, actor="test"))
    assert [bool(one.error) for one in found] == [True, True, False, True]
    assert "the Element token, which belongs to Other" in found[0].error
    assert "Theirs" not in found[1].error
    assert is_as_before(other)
    assert is_as_before(elsewhere)


def test_pages_that_never_end_are_left(provider, user):
    provider.override = (200, [])
    provider.override_headers = {"Elements-Next-Page-Token": "again"}
    assert list(import_instances(user, actor="test")) == []
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "message",
    ["Missing required configuration: a\x00b", "Missing required configuration: " + "k" * 100_000],
)
def test_a_refusal_in_strange_words_is_stored(provider, far, message):
    provider.override = (400, {"requestId": "1", "message": message})
    with pytest.raises(errors.MissingConfigurationError):
        provision_instance(far, actor="test")
    far.refresh_from_db()
    assert far.state == "failed"
    assert len(far.cause_message) <= 5_000
    assert StateChange.objects.filter(instance=far, to_state="failed").exists()


@pytest.mark.parametrize("value", ["9" * 400, "Wed, 21 Oct 9999 07:28:00 -2359", "nonsense", "-5"])
def test_a_retry_after_without_sense_is_bounded(provider, user, value):
    provider.override = (429, {"requestId": "1", "message": "Slowly"})
    provider.override_headers = {"Retry-After": value}
    job = start(user, 2)
    run_chunk(job)
    assert outcomes(job) == {"pending": 2}
    assert all(row.due_at < timezone.now() + timedelta(days=2) for row in job.rows.all())


def test_a_record_of_half_a_surrogate_pair_can_be_stored(provider, far):
    provider.override = (200, '{"id": "\\ud800", "note": "a\\u0000b"}')
    with pytest.raises(errors.OutcomeUnknownError):
        provision_instance(far, actor="test")
    assert Interaction.objects.get().response_body == '{"id": "?", "note": "ab"}'


def start(user, count):
    rows = (FileRow(number, body(f"Row {number}")) for number in range(1, count + 1))
    job = read_bulk_job(user, rows, actor="test")
    start_bulk_job(job)
    return job


def finish(job):
    """As if minutes went by."""
    for _ in range(4):
        pass_time()
        run_chunk(job)
