"""The admin's start page: the fleet by status, what needs action, and where its links lead."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from instances.models import BulkJob, BulkRow, Element, Instance, ProcessBeat
from instances.provisioning.status.explain import explain_many
from instances.provisioning.status.overview import overview_of
from tests.support.factories import (
    KEY_DEFINITION,
    make_element,
    make_instance,
    make_member,
    make_organization_user,
    make_user,
)
from tests.support.lists import make_in_state, names
from tests.test_docs import ERRORS

PATH = "/admin/"
LONG_AGO = timedelta(hours=25)


@pytest.fixture
def scheduler(db):
    ProcessBeat.objects.beat(ProcessBeat.Kind.SCHEDULER, at=timezone.now())


@pytest.fixture
def connected(db):
    """An instance that works, so that the console replaces the first run."""
    return make_in_state("connected", name="works", verified_at=timezone.now())


def groups(page, name="problems"):
    return [(problem.headline, problem.group.count) for problem in page.context[name]]


def follow(client, url):
    return sorted(names(client.get(url)))


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


@pytest.mark.usefixtures("scheduler", "connected")
def test_problems_are_grouped_by_cause_broken_and_large_groups_first(operator):
    for number in range(3):
        make_in_state("failed", cause="credentials_rejected", name=f"wrong {number}")
    make_in_state("needs_reauthorization", cause="grant_rejected", name="revoked")
    make_in_state("connected", cause="access_forbidden", name="forbidden")
    page = operator.get(PATH)
    assert groups(page) == [
        ("Credentials rejected", 3),
        ("Access expired or was revoked", 1),
        ("Account lacks permissions", 1),
    ]
    text = text_of(page)
    assert "5 instances, 3 causes" in text
    assert "Get valid credentials from the account owner and enter them." in text
    assert "Account owner must act." in text


@pytest.mark.usefixtures("connected")
def test_what_is_retried_automatically_needs_no_action(operator):
    make_in_state("connected", cause="provider_down", name="outage")
    page = operator.get(PATH)
    assert groups(page) == []
    assert groups(page, "retried") == [("Provider is down", 1)]
    assert "No instance needs anybody to act." in page.text


@pytest.mark.usefixtures("connected")
def test_credentials_that_nothing_has_proved_are_a_group_of_their_own(operator):
    assert "Credentials stored, not verified" not in operator.get(PATH).text
    make_in_state("connected", name="trusted")
    make_in_state("connected", name="failing", cause="provider_down")
    page = operator.get(PATH)
    assert "Credentials stored, not verified" in page.text
    assert page.context["unverified_count"] == 1
    assert follow(operator, page.context["unverified_url"]) == ["trusted"]


@pytest.mark.usefixtures("connected")
def test_only_broken_groups_have_a_solid_button(operator):
    make_in_state("failed", cause="credentials_rejected")
    make_in_state("connected", cause="access_forbidden", name="forbidden")
    page = operator.get(PATH)
    buttons = re.findall(r'class="im-btn( im-btn-primary)?"[^>]*>(Repair|Review)<', page.text)
    assert buttons == [(" im-btn-primary", "Repair"), ("", "Review")]


@pytest.mark.usefixtures("connected")
def test_five_causes_are_shown_until_all_are_asked_for(operator):
    causes = [
        "refused",
        "gone",
        "grant_rejected",
        "access_forbidden",
        "not_permitted",
        "key_reused",
    ]
    for cause in causes:
        make_in_state("failed", cause=cause, name=cause)
    page = operator.get(PATH)
    assert len(groups(page)) == 5
    assert '<a href="?causes=all">All 6 causes</a>' in page.text
    everything = operator.get(PATH, {"causes": "all"})
    assert len(groups(everything)) == 6
    assert "All 6 causes" not in everything.text


@pytest.mark.parametrize(
    ("state", "columns"),
    [
        ("failed", {"cause": "credentials_rejected"}),
        ("failed", {}),
        ("needs_reauthorization", {"cause": "credentials_rejected"}),
        ("connected", {"cause": "access_forbidden"}),
        ("connected", {"has_refresh_token": False, "expires_at": timezone.now()}),
        ("awaiting_authorization", {"state_changed_at": timezone.now() - LONG_AGO}),
        ("failed", {"cause": "refused", "quarantined_at": timezone.now()}),
    ],
)
def test_a_group_leads_to_exactly_its_instances(operator, connected, state, columns):
    make_in_state(state, name="sought", **columns)
    make_in_state("failed", cause="configuration_wrong", name="another")
    make_in_state("connected", cause="access_forbidden", name="at rest", is_disabled=True)
    make_in_state("awaiting_authorization", name="just begun")
    page = operator.get(PATH)
    others = {"another", "just begun", "at rest", connected.name}
    problems = [
        problem
        for problem in page.context["problems"]
        if problem.group.cause != "configuration_wrong"
    ]
    [problem] = problems
    assert problem.group.count == 1
    assert follow(operator, problem.url) == ["sought"]
    assert not others & set(follow(operator, problem.url))


@pytest.mark.usefixtures("scheduler", "connected")
def test_the_page_says_when_nothing_needs_action(operator):
    make_in_state("connected", name="at rest", cause="grant_rejected", is_disabled=True)
    for state in ("draft", "awaiting_authorization", "provisioning"):
        make_in_state(state)
    page = operator.get(PATH)
    assert groups(page) == []
    assert "No instance needs anybody to act." in page.text
    assert "Scheduler and workers are running" in page.text


def test_each_number_of_the_fleet_leads_to_its_instances(operator, connected):
    make_in_state("connected", name="disabled", is_disabled=True)
    make_in_state("connected", name="forbidden", cause="access_forbidden")
    make_in_state("failed", name="failed")
    make_in_state("draft", name="draft")
    make_in_state("unknown", name="unknown")
    page = operator.get(PATH)
    found = {part.meaning: follow(operator, part.url) for part in page.context["fleet"]}
    assert found == {
        "healthy": [connected.name],
        "paused": ["disabled"],
        "attention": ["forbidden"],
        "broken": ["failed"],
        "waiting": ["draft"],
        "busy": ["unknown"],
    }
    assert {part.meaning: part.count for part in page.context["fleet"]} == dict.fromkeys(found, 1)
    assert "6 instances" in text_of(page)
    last = page.context["fleet"][-1]
    assert last.start + last.width == 1_000


@pytest.mark.parametrize(
    ("state", "columns", "status"),
    [
        ("connected", {"cause": "provider_down", "expires_at": timezone.now()}, "broken"),
        ("connected", {"expires_at": timezone.now(), "has_refresh_token": False}, "attention"),
        ("unknown", {"state_changed_at": timezone.now() - LONG_AGO}, "attention"),
        ("draft", {"state_changed_at": timezone.now() - LONG_AGO}, "waiting"),
        ("draft", {"quarantined_at": timezone.now()}, "broken"),
        ("connected", {}, "unverified"),
        ("connected", {"verified_at": timezone.now()}, "healthy"),
        ("connected", {"quarantined_at": timezone.now(), "is_disabled": True}, "broken"),
    ],
)
def test_columns_beyond_the_index_count_as_well(db, state, columns, status):
    make_in_state(state, **columns)
    overview = overview_of(make_user(is_superuser=True))
    assert dict(overview.statuses) == {status: 1}
    assert overview.total == 1


@pytest.mark.usefixtures("connected")
def test_a_group_says_since_when(operator):
    for days in (1, 3, 2):
        since = timezone.now() - timedelta(days=days)
        make_in_state("failed", cause="refused", name=f"{days}", state_changed_at=since)
    [problem] = operator.get(PATH).context["problems"]
    assert timezone.now() - problem.since >= timedelta(days=3)


@pytest.mark.usefixtures("connected")
def test_the_sidebar_counts_what_needs_action_once_a_minute(operator):
    make_in_state("failed", cause="refused")
    make_in_state("connected", cause="provider_down", name="retried")
    badge = re.compile(r"badge[^<]*>\s*1\s*<|>\s*1\s*</span>")
    assert badge.search(operator.get("/admin/instances/element/").text)


def test_everything_is_limited_to_what_the_user_may_view(sign_in):
    make_in_state("failed", cause="credentials_rejected", name="seen")
    make_in_state("connected", organization_user=Instance.objects.get().organization_user)
    client = sign_in("view_instance")
    make_in_state("failed", cause="credentials_rejected", name="hidden")
    page = client.get(PATH)
    assert groups(page) == [("Credentials rejected", 1)]
    assert page.context["overview"].total == 2


def test_a_user_counts_their_own_instances(db):
    user = make_user(permissions=("view_instance",))
    own = make_instance(organization_user=make_organization_user(user=user))
    make_instance(organization_user=make_organization_user(organization=own.organization))
    assert overview_of(user).total == 1


def test_without_a_role_the_page_has_a_way_out(sign_in):
    make_instance()
    page = sign_in("view_interaction").get(PATH)
    assert "Nothing to show here" in page.text
    assert 'href="/connect/"' in page.text
    for title in ("Action needed", "In progress", "Find an instance"):
        assert title not in page.text


@pytest.mark.usefixtures("connected")
def test_a_missing_scheduler_and_overdue_refreshes_are_shown_with_what_to_do(operator):
    late = timezone.now() - timedelta(minutes=6)
    make_in_state("connected", name="late", refresh_due_at=late)
    page = operator.get(PATH)
    assert "The scheduler is not running" in page.text
    assert "manage.py scheduler" in page.text
    assert "Not all parts are running" in page.text
    assert follow(operator, page.context["overdue_url"]) == ["late"]
    ProcessBeat.objects.beat(ProcessBeat.Kind.SCHEDULER, at=timezone.now())
    assert "The scheduler is not running" not in operator.get(PATH).text


def make_job(state, user, outcomes):
    job = BulkJob.objects.create(organization_user=user, actor="ada", name="f.csv", state=state)
    for number, outcome in enumerate(outcomes):
        due_at = timezone.now() if outcome in {"pending", "running"} else None
        BulkRow.objects.create(job=job, number=number, outcome=outcome, due_at=due_at)
    return job


def test_unfinished_bulk_jobs_are_shown_with_their_progress_to_their_operators(client, db):
    account = make_user(permissions=("view_bulkjob",))
    user = make_organization_user()
    make_member(account, user.organization)
    make_job("running", user, ["succeeded", "failed", "pending", "pending"])
    make_job("finished", user, ["succeeded"])
    make_job("running", make_organization_user(), ["pending"])
    client.force_login(account)
    page = client.get(PATH)
    [job] = page.context["jobs"]
    assert job["title"] == "f.csv"
    assert "2 of 4 rows done, 1 failed" in page.text


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("state", ["connected", "failed", "unknown", "deleting"])
def test_every_error_has_a_headline_and_a_remedy_for_many(state, error):
    headline, who, advice = explain_many(state, error)
    assert headline != "Something went wrong" or error == "PlatformError"
    assert who
    assert advice.endswith(".")


@pytest.mark.usefixtures("connected")
def test_the_page_reads_no_definition_of_an_element(operator, django_assert_max_num_queries):
    other = make_element(KEY_DEFINITION | {"key": "other", "id": 900002, "name": "Other"})
    make_in_state("failed", element_id=other.pk, name="failed")
    Element.objects.update(definition={"broken": True})
    with django_assert_max_num_queries(15):
        assert operator.get(PATH).status_code == 200


@pytest.mark.usefixtures("connected")
def test_the_number_of_statements_does_not_grow_with_the_causes(
    operator, django_assert_max_num_queries
):
    for cause in ("refused", "gone", "grant_rejected", "access_forbidden", "not_permitted"):
        for state in ("failed", "needs_reauthorization"):
            make_in_state(state, cause=cause, name=f"{cause} {state}")
    # One for each of the five groups, which says since when.
    with django_assert_max_num_queries(19):
        operator.get(PATH)
