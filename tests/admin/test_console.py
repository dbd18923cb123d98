"""The admin's start page: instances by state, what needs attention, and where its links lead."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from instances.models import BulkJob, BulkRow, Element, ProcessBeat
from instances.provisioning.status.explain import explain_many
from instances.provisioning.status.overview import overview_of
from tests.support.factories import (
    KEY_DEFINITION,
    make_element,
    make_instance,
    make_interaction,
    make_member,
    make_organization_user,
    make_user,
)
from tests.support.lists import make_in_state, names
from tests.test_docs import ERRORS

PATH = "/admin/"


@pytest.fixture
def scheduler(db):
    ProcessBeat.objects.beat(ProcessBeat.Kind.SCHEDULER, at=timezone.now())


def groups(page):
    return [(problem.headline, problem.group.count) for problem in page.context["problems"]]


def follow(client, url):
    return sorted(names(client.get(url)))


@pytest.mark.usefixtures("scheduler")
def test_problems_are_grouped_by_cause_the_worst_first(operator):
    for number in range(3):
        make_in_state("failed", cause="credentials_rejected", name=f"wrong {number}")
    make_in_state("failed", cause="access_forbidden", name="forbidden")
    make_in_state("needs_reauthorization", cause="grant_rejected", name="revoked")
    make_in_state("connected", cause="provider_down", name="outage")
    page = operator.get(PATH)
    assert groups(page) == [
        ("Access expired or was revoked", 1),
        ("Credentials rejected", 3),
        ("Account lacks permissions", 1),
        ("Provider is down", 1),
    ]
    assert "Get valid credentials from the account owner and enter them." in page.text
    assert "Account owner must act." in page.text
    assert "Keyed (3)" in page.text


def test_each_group_leads_to_exactly_its_instances(operator):
    make_in_state("failed", cause="credentials_rejected", name="wrong")
    make_in_state("failed", name="without a cause")
    make_in_state("needs_reauthorization", cause="credentials_rejected", name="wrong since")
    make_in_state("connected", cause="provider_down", name="outage")
    make_in_state("connected", cause="provider_down", name="at rest", is_disabled=True)
    make_in_state("failed", cause="configuration_wrong", name="incomplete")
    page = operator.get(PATH)
    found = {name for problem in page.context["problems"] for name in follow(operator, problem.url)}
    assert found == {"wrong", "without a cause", "wrong since", "outage", "incomplete"}
    for problem in page.context["problems"]:
        assert len(follow(operator, problem.url)) == problem.group.count == 1
        assert problem.headline.removesuffix(".") in operator.get(problem.url).text


@pytest.mark.usefixtures("scheduler")
def test_the_page_says_when_nothing_needs_attention(operator):
    make_in_state("connected", name="fine")
    make_in_state("connected", name="at rest", cause="grant_rejected", is_disabled=True)
    for state in ("draft", "awaiting_authorization", "provisioning"):
        make_in_state(state)
    page = operator.get(PATH)
    assert groups(page) == []
    assert "Nothing needs attention. All connections work." in page.text


def test_instances_are_counted_by_state_and_by_element(operator):
    other = make_element(KEY_DEFINITION | {"key": "other", "id": 900002, "name": "Other"})
    make_in_state("connected", name="one")
    make_in_state("connected", name="two", element_id=other.pk)
    make_in_state("connected", name="three", is_disabled=True)
    make_in_state("failed", name="four")
    page = operator.get(PATH)
    by_state = {str(bar.label): bar for bar in page.context["by_state"]}
    assert {label: bar.count for label, bar in by_state.items()} == {"connected": 3, "failed": 1}
    assert follow(operator, by_state["connected"].url) == ["one", "three", "two"]
    assert follow(operator, page.context["disabled_url"]) == ["three"]
    by_element = {bar.label: bar for bar in page.context["by_element"]}
    assert {label: bar.count for label, bar in by_element.items()} == {"Keyed": 3, "Other": 1}
    assert by_element["Keyed"].detail == "1 healthy · 1 need attention · 1 other"
    assert follow(operator, by_element["Other"].url) == ["two"]
    text = re.sub(r"\s+", " ", page.text)
    assert "4 instances by state" in text
    assert '<span class="im-bar-label">connected</span> <span class="im-bar-count">3</span>' in text


def test_the_length_of_bars_follows_their_numbers(operator):
    for name in "abcd":
        make_in_state("connected", name=name)
    make_in_state("failed", name="e")
    parts = {str(bar.label): bar.parts for bar in operator.get(PATH).context["by_state"]}
    assert parts == {"connected": [("success", 0, 1000)], "failed": [("danger", 0, 250)]}


def test_everything_is_limited_to_what_the_user_may_view(sign_in):
    seen = make_in_state("failed", cause="credentials_rejected", name="seen")
    make_interaction(organization=seen.organization, instance=seen, subject="seen")
    client = sign_in("view_instance", "view_interaction")
    hidden = make_in_state("failed", cause="credentials_rejected", name="hidden")
    make_interaction(organization=hidden.organization, instance=hidden, subject="hidden")
    page = client.get(PATH)
    assert groups(page) == [("Credentials rejected", 1)]
    assert [one.interaction.subject for one in page.context["exchanges"]] == ["seen"]


def test_a_user_sees_the_interactions_of_their_own_instances(db):
    user = make_user(permissions=("view_instance", "view_interaction"))
    own = make_instance(organization_user=make_organization_user(user=user))
    theirs = make_instance(organization_user=make_organization_user(organization=own.organization))
    for one in (own, theirs):
        make_interaction(organization=one.organization, instance=one, subject=one.label)
    assert overview_of(user).total == 1
    found = own.interactions.model.objects.visible_to(user)
    assert [one.subject for one in found] == [own.label]


def test_parts_need_their_permissions(sign_in):
    make_instance()
    page = sign_in("view_interaction").get(PATH)
    assert "Recent interactions" in page.text
    for title in ("Needs attention", "by state", "Bulk jobs in progress", "Find an instance"):
        assert title not in page.text


def test_failed_interactions_stand_out_among_the_recent_ones(operator):
    make_interaction(operation="check")
    make_interaction(
        operation="refresh", status=401, error="The provider refused the refresh token."
    )
    page = operator.get(PATH)
    assert [one.colour for one in page.context["exchanges"]] == ["danger", "success"]
    assert "The provider refused the refresh token." in page.text


def test_a_missing_scheduler_and_overdue_refreshes_are_shown_with_what_to_do(operator):
    late = timezone.now() - timedelta(minutes=6)
    make_in_state("connected", name="late", refresh_due_at=late)
    page = operator.get(PATH)
    assert "The scheduler is not running" in page.text
    assert "manage.py scheduler" in page.text
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
    [(job, progress)] = page.context["jobs"]
    assert (job.state, progress.percent) == ("running", 50)
    assert "2 of 4 rows are done, 1 failed." in page.text


def test_without_any_instance_the_page_says_how_to_start(operator, sign_in):
    page = operator.get(PATH)
    assert "No accounts connected yet" in page.text
    assert "/admin/instances/instance/add/" in page.text
    assert "No interactions yet" in page.text
    assert "Ask an administrator to add you to one" in sign_in("view_instance").get(PATH).text


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("state", ["connected", "failed", "unknown", "deleting"])
def test_every_error_has_a_headline_and_a_remedy_for_many(state, error):
    headline, who, advice = explain_many(state, error)
    assert headline != "Something went wrong" or error == "PlatformError"
    assert who
    assert advice.endswith(".")


def test_the_page_reads_no_definition_of_an_element(operator, django_assert_max_num_queries):
    make_in_state("connected", name="one")
    Element.objects.update(definition={"broken": True})
    with django_assert_max_num_queries(12):
        assert operator.get(PATH).status_code == 200
