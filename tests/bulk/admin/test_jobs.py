"""Bulk jobs in the admin: upload, dry run, start, pause, resume, cancel, retry, result."""

import csv
import io
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.bulk.dry_run import check_bulk_job
from instances.bulk.files.lines import FileRow
from instances.bulk.jobs import ADOPT_AFTER, MAX_DRY_RUNS, recover_bulk_jobs
from instances.bulk.reading import READING_STALLED_AFTER, read_bulk_job, read_stored_file
from instances.models import BulkJob, Instance, Interaction
from tests.support.factories import (
    make_element,
    make_instance,
    make_member,
    make_organization_user,
    make_user,
)

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "/admin/instances/bulkjob/add/"
FILE = "name;element;site;api.key\nOne;keyed;acme;s3cr3t-1\nTwo;keyed;acme;s3cr3t-2\n"


def upload(browser, user, content=FILE, **fields):
    file = SimpleUploadedFile(
        "rows.csv", content if isinstance(content, bytes) else content.encode()
    )
    return browser.post(ADD, {"organization_user": user.pk, "file": file} | fields, follow=True)


def do(browser, job, action):
    url = reverse("admin:instances_bulkjob_action", args=[job.pk, action])
    asked = browser.get(url)
    assert asked.status_code == 200
    return browser.post(url, follow=True)


def make_job(user, **options):
    rows = [
        FileRow(
            number,
            {
                "name": f"Row {number}",
                "element": {"key": "keyed"},
                "configuration": {"api.key": f"s3cr3t-{number}", "site": "acme"},
            },
        )
        for number in (1, 2)
    ]
    return read_bulk_job(user, rows, actor="test", **options)


def page_of(browser, job, **query):
    return browser.get(reverse("admin:instances_bulkjob_change", args=[job.pk]), query)


def test_a_file_is_uploaded_checked_started_and_its_result_downloaded(operator, user, provider):
    page = upload(operator, user)
    job = BulkJob.objects.get()
    assert (job.name, job.actor, job.state) == ("rows.csv", "operator", "draft")
    assert "The dry run found no problems." in page.text
    assert provider.requests == []
    done = do(operator, job, "start")
    assert "2 of 2 rows connected" in done.text
    assert Instance.objects.filter(state="connected").count() == len(provider.instances) == 2
    result = operator.get(reverse("admin:instances_bulkjob_result", args=[job.pk]))
    lines = list(csv.DictReader(io.StringIO(result.getvalue().decode())))
    assert [(line["row"], line["name"], line["outcome"]) for line in lines] == [
        ("2", "One", "succeeded"),
        ("3", "Two", "succeeded"),
    ]
    assert {int(line["instance"]) for line in lines} == set(
        Instance.objects.values_list("pk", flat=True)
    )
    for secret in (*provider.secrets, "s3cr3t-1"):
        assert secret not in page.text + done.text + result.getvalue().decode()


def test_a_dry_run_that_ends_its_workers_is_given_up_until_it_is_asked_for_again(
    operator, user, settings
):
    engine = settings.TASKS
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
    upload(operator, user)
    job = BulkJob.objects.get()
    assert read_stored_file(job) == 2
    for _ in range(MAX_DRY_RUNS):
        BulkJob.objects.update(enqueued_at=timezone.now() - 2 * ADOPT_AFTER)
        assert recover_bulk_jobs() == [job]
        # Started, but not finished.
        assert next(check_bulk_job(job)).number == 2
        assert "The dry run is in progress." in page_of(operator, job).text
    BulkJob.objects.update(enqueued_at=timezone.now() - 2 * ADOPT_AFTER)
    assert recover_bulk_jobs() == []
    assert list(check_bulk_job(job)) == []
    assert "The dry run failed" in page_of(operator, job).text
    BulkJob.objects.update(state="running")
    assert "The dry run failed" not in page_of(operator, job).text
    BulkJob.objects.update(state="draft")
    settings.TASKS = engine
    assert "The dry run found no problems." in do(operator, job, "check").text
    job.refresh_from_db()
    assert job.dry_runs_begun == 0


def test_the_dry_run_has_a_verdict_for_each_row(operator, user):
    content = (
        "name,element,site,api.key\nOne,keyed,acme,a\nOne,keyed,acme,b\nThree,keyed,,\nFour,nosuch,,\n"
        "Five,keyed,acme,c,d\n"
    )
    page = upload(operator, user, content)
    job = BulkJob.objects.get()
    assert "found problems in 3 rows" in page.text
    assert list(job.rows.values_list("verdict", flat=True)) == [
        "",
        "Duplicate: row 2 of this file has the same name and element.",
        "Missing required configuration: api.key, site",
        "No element found with key or ID nosuch",
        "",
    ]
    wrong = page_of(operator, job, rows="failed")
    assert "Line 6: column 5 has a value, but no name in line 1." in wrong.text


def test_a_job_is_paused_resumed_and_its_failures_retried(operator, user, provider):
    job = make_job(user)
    provider.override = (401, {"message": "Who are you?"})
    assert "Finished with failures" in do(operator, job, "start").text
    assert "Retry failures" in page_of(operator, job).text
    provider.override = None
    assert "2 of 2 rows connected" in do(operator, job, "retry").text
    BulkJob.objects.update(state="running")
    assert "data-refresh-seconds" in page_of(operator, job).text
    assert "Paused" in do(operator, job, "pause").text
    assert "data-refresh-seconds" not in page_of(operator, job).text
    assert "Finished" in do(operator, job, "resume").text
    assert "is finished, so this action is not available now" in do(operator, job, "pause").text


def test_a_cancelled_job_can_be_deleted_and_its_instances_stay(operator, user):
    done, cancelled = make_job(user), make_job(user)
    do(operator, done, "start")
    do(operator, cancelled, "cancel")
    cancelled.refresh_from_db()
    assert (cancelled.state, {row.outcome for row in cancelled.rows.all()}) == (
        "cancelled",
        {"cancelled"},
    )
    for job in (done, cancelled):
        do(operator, job, "delete")
    assert not BulkJob.objects.exists()
    assert Instance.objects.count() == 2


def test_element_tokens_are_in_the_result_only_for_who_may_reveal_them_and_are_recorded(
    sign_in, operator, user, provider
):
    job = make_job(user)
    do(operator, job, "start")
    url = reverse("admin:instances_bulkjob_tokens", args=[job.pk])
    plain = sign_in("view_bulkjob")
    assert (plain.get(url).status_code, plain.post(url).status_code) == (403, 403)
    assert "Download with Element tokens" not in page_of(plain, job).text
    sent = operator.post(url).getvalue().decode()
    for one in provider.instances.values():
        assert one["token"] in sent
    revealed = Interaction.objects.filter(operation="reveal Element token", actor="operator")
    assert revealed.count() == 2


def test_a_name_does_not_become_a_formula_in_the_result(operator, user):
    rows = [FileRow(1, {"name": '=HYPERLINK("x")'})]
    job = read_bulk_job(user, rows, actor="test")
    result = operator.get(reverse("admin:instances_bulkjob_result", args=[job.pk]))
    assert "\"'=HYPERLINK" in result.getvalue().decode()


def test_a_template_is_downloaded_for_an_element(operator):
    element = make_element()
    url = reverse("admin:instances_bulkjob_template")
    answer = operator.get(url, {"template-element": element.pk})
    assert answer["Content-Disposition"] == 'attachment; filename="keyed.csv"'
    assert answer.text.splitlines()[0] == "name,element,tags,api.key,site"
    assert operator.get(url, {"template-element": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("add/", "add_bulkjob"),
        ("template/?template-element={element}", "add_bulkjob"),
        ("{pk}/change/", "view_bulkjob"),
        ("{pk}/result/", "view_bulkjob"),
        ("{pk}/actions/start/", "change_bulkjob"),
        ("{pk}/actions/pause/", "change_bulkjob"),
        ("{pk}/actions/retry/", "change_bulkjob"),
        ("{pk}/actions/cancel/", "change_bulkjob"),
        ("{pk}/actions/delete/", "delete_bulkjob"),
    ],
)
def test_each_page_needs_its_permission(sign_in, user, path, needed):
    job = make_job(user)
    url = "/admin/instances/bulkjob/" + path.format(pk=job.pk, element=make_element().pk)
    others = {f"{verb}_bulkjob" for verb in ("view", "add", "change", "delete")} - {needed}
    if needed == "view_bulkjob":
        others -= {"change_bulkjob"}
    refused = sign_in(*others)
    assert (refused.get(url).status_code, refused.post(url, {}).status_code) == (403, 403)
    job.refresh_from_db()
    assert job.state == "draft"
    allowed = Client()
    account = make_user("allowed", permissions=(needed,))
    make_member(account, user.organization)
    allowed.force_login(account)
    assert allowed.get(url).status_code == 200


def test_an_operator_sees_and_fills_the_bulk_jobs_of_their_organizations_alone(user, client):
    own = make_organization_user()
    account = make_user(
        "olga",
        permissions=("view_bulkjob", "add_bulkjob", "change_bulkjob", "view_element"),
    )
    make_member(account, own.organization)
    client.force_login(account)
    foreign, visible = make_job(user), make_job(own)
    listed = client.get("/admin/instances/bulkjob/").text
    assert f"/bulkjob/{visible.pk}/change/" in listed
    assert f"/bulkjob/{foreign.pk}/change/" not in listed
    for path in ("change/", "result/", "actions/start/"):
        assert client.get(f"/admin/instances/bulkjob/{foreign.pk}/{path}").status_code == 404
    refused = upload(client, user)
    assert "Select a valid choice" in refused.text
    assert set(BulkJob.objects.values_list("pk", flat=True)) == {foreign.pk, visible.pk}
    upload(client, own)
    assert BulkJob.objects.filter(organization_user=own).count() == 2


def test_a_file_that_is_not_read_on_is_told_and_can_be_cancelled_and_deleted(operator, user):
    job = make_job(user)
    url = reverse("admin:instances_bulkjob_change", args=[job.pk])
    BulkJob.objects.update(state="reading", reading_at=timezone.now())
    assert "No rows of the file have arrived" not in operator.get(url).text
    BulkJob.objects.update(reading_at=timezone.now() - READING_STALLED_AFTER)
    assert "No rows of the file have arrived since" in operator.get(url).text
    listed = operator.get(reverse("admin:instances_bulkjob_changelist")).text
    assert "stalled while reading" in listed
    do(operator, job, "cancel")
    assert not any(row.body for row in job.rows.all())
    do(operator, job, "delete")
    assert not BulkJob.objects.exists()


def end_rows(job, **columns):
    """End both rows of a job, as if it had run."""
    outcome = columns.pop("outcome", "failed")
    job.rows.update(outcome=outcome, due_at=None, attempts=1, **columns)
    BulkJob.objects.filter(pk=job.pk).update(state="finished", finished_at=timezone.now())


def steps_of(page):
    return [
        (step.count, str(step.title), [str(way.label) for way in step.ways])
        for step in page.context["next_steps"]
    ]


@pytest.mark.parametrize(
    ("columns", "step"),
    [
        (
            {"cause": "configuration_wrong"},
            (2, "Configuration incomplete or invalid", ["Rows to correct", "Upload"]),
        ),
        ({"cause": "provider_down"}, (2, "Provider is down", ["Retry failures"])),
        (
            {"cause": "credentials_rejected", "has_instance": True},
            (2, "Credentials rejected", ["Show rows"]),
        ),
        (
            {"cause": "client_rejected", "has_instance": True},
            (2, "OAuth app or organization secrets rejected", ["Retry failures", "Show rows"]),
        ),
        (
            {"outcome": "awaiting_authorization", "has_instance": True},
            (2, "Waiting for account owners to authorize", ["Show rows"]),
        ),
    ],
)
def test_each_cause_has_its_own_way_on(operator, user, columns, step):
    job = make_job(user)
    if columns.pop("has_instance", False):
        columns["instance"] = make_instance(organization_user=user)
    end_rows(job, **columns)
    page = page_of(operator, job)
    assert steps_of(page) == [step]
    assert page.context["meaning"] == "attention"
    for way in page.context["next_steps"][0].ways:
        address = way.url if way.url.startswith("/") else page.request["PATH_INFO"] + way.url
        assert operator.get(address.partition("#")[0]).status_code == 200


def test_a_retry_is_offered_to_those_who_may_retry(sign_in, user):
    job = make_job(user)
    end_rows(job, cause="provider_down")
    page = page_of(sign_in("view_bulkjob"), job)
    assert steps_of(page) == [(2, "Provider is down", [])]


@pytest.mark.parametrize(
    ("outcome", "meaning", "words"),
    [
        ("succeeded", "healthy", "finished"),
        ("failed", "attention", "finished with failures"),
        ("awaiting_authorization", "attention", "finished, awaiting authorization"),
        ("skipped", "healthy", "finished"),
    ],
)
def test_a_job_is_green_only_without_failures(operator, user, outcome, meaning, words):
    job = make_job(user)
    end_rows(job, outcome=outcome)
    page = page_of(operator, job)
    assert (page.context["meaning"], page.context["status"]) == (meaning, words)
    listed = operator.get(reverse("admin:instances_bulkjob_changelist")).text
    assert re.search(rf'im-status im-{meaning}".*?<span>{words}</span>', listed, re.DOTALL)


def test_the_rows_to_correct_are_those_that_failed_for_the_cause(operator, user):
    job = make_job(user)
    end_rows(job, outcome="succeeded")
    job.rows.filter(number=2).update(outcome="failed", cause="configuration_wrong")
    url = reverse("admin:instances_bulkjob_result", args=[job.pk])
    result = operator.get(url, {"cause": "configuration_wrong"}).getvalue().decode()
    assert [line["name"] for line in csv.DictReader(io.StringIO(result))] == ["Row 2"]


def test_the_failed_rows_of_an_ended_job_come_first(operator, user):
    job = make_job(user)
    end_rows(job, outcome="succeeded")
    job.rows.filter(number=2).update(outcome="failed", cause="refused", error="Why.")
    assert [row.number for row in page_of(operator, job).context["rows"]] == [2]
    assert [row.number for row in page_of(operator, job, rows="all").context["rows"]] == [1, 2]


def test_the_list_of_jobs_reads_their_progress_at_once(
    operator, user, django_assert_max_num_queries
):
    for _ in range(5):
        make_job(user)
    with django_assert_max_num_queries(12):
        operator.get(reverse("admin:instances_bulkjob_changelist"))


def test_a_row_keeps_the_cause_of_its_failure(operator, user, provider):
    job = make_job(user)
    provider.override = (401, {"message": "Who are you?"})
    do(operator, job, "start")
    assert set(job.rows.values_list("outcome", "cause")) == {("failed", "client_rejected")}
    provider.override = None
    do(operator, job, "retry")
    assert set(job.rows.values_list("outcome", "cause")) == {("succeeded", "")}
