"""Commands for bulk jobs: read CSV, dry run, pause and resume, retry, list, template."""

import json
import re
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from instances.bulk.commands import ALREADY_EXISTS
from instances.bulk.jobs import pause_bulk_job
from instances.bulk.running import runner as bulk_runs
from instances.models import BulkJob, Instance
from tests.support.factories import make_element, make_organization, make_organization_user
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "name,element,site,api.key\n"


@pytest.fixture
def user(provider):
    make_element()
    organization = make_organization(
        name="Remote", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    return make_organization_user(
        organization=organization, secret=USER_SECRET, email="ada@example.com"
    )


@pytest.fixture
def manage(user, capsys):
    """Return a function that runs a command; it returns exit status, standard output and errors."""

    def manage(*arguments):
        capsys.readouterr()
        try:
            call_command(*arguments)
        except CommandError as error:
            return error.returncode, capsys.readouterr().out, str(error)
        return 0, capsys.readouterr().out, ""

    return manage


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "".join(f"Row {n},keyed,acme,s3cr3t-{n}\n" for n in range(8)))
    return str(path)


def provision(file, *options):
    return ("provision_instances", file, "--user", "ada@example.com", *options)


def test_a_csv_file_is_provisioned_and_the_same_file_again_is_skipped(manage, file, provider):
    status, out, _ = manage(*provision(file, "--concurrency", "3"))
    assert (status, out.splitlines()[-1]) == (0, "8 of 8 provisioned.")
    assert BulkJob.objects.get().concurrency == 3
    assert not any(secret in out for secret in (*provider.secrets, "s3cr3t"))
    before = len(provider.requests)
    status, out, _ = manage(*provision(file, "--skip-existing"))
    assert (status, out.splitlines()[-1]) == (
        0,
        "0 of 8 provisioned, 8 skipped because they already exist.",
    )
    assert f"[1/8] Row 0: skipped: {ALREADY_EXISTS}" in out
    status, out, _ = manage(*provision(file))
    assert status == 1
    assert "Row 0: An instance with this name and element already exists." in out
    assert len(provider.requests) == before
    assert Instance.objects.count() == 8
    assert manage(*provision(file, "--allow-duplicates"))[0] == 0
    assert Instance.objects.count() == 16


@pytest.mark.parametrize(
    ("options", "status", "last"),
    [
        (["--dry-run"], 1, "1 of 2 rows failed the dry run."),
        (
            ["--dry-run", "--skip-existing"],
            0,
            "1 of 2 rows are ready to provision. 1 will be skipped.",
        ),
        (["--dry-run", "--allow-duplicates"], 0, "2 of 2 rows are ready to provision."),
        (["--skip-existing"], 0, "1 of 2 provisioned, 1 skipped because they already exist."),
        (["--allow-duplicates"], 0, "2 of 2 provisioned."),
        ([], 1, "1 of 2 rows failed."),
    ],
)
def test_a_dry_run_says_of_duplicates_what_the_job_does(
    manage, tmp_path, provider, file, options, status, last
):
    twice = tmp_path / "twice.csv"
    twice.write_text(HEADER + "One,keyed,a,b\n One ,keyed,a,b\n")
    ended, out, err = manage(*provision(str(twice), *options))
    assert (ended, (err or out.splitlines()[-1])[: len(last)]) == (status, last)


def test_a_dry_run_names_doubles_in_the_file_and_what_is_there(manage, file, tmp_path, provider):
    twice = tmp_path / "twice.csv"
    twice.write_text(HEADER + "One,keyed,a,b\nOne,keyed,a,b\n")
    status, out, err = manage(*provision(str(twice), "--dry-run"))
    assert (status, err) == (1, "1 of 2 rows failed the dry run.")
    assert "[2/2] One: Duplicate: row 2 of this file has the same name and element." in out
    manage(*provision(file))
    _, out, _ = manage(*provision(file, "--dry-run"))
    assert "An instance with this name and element already exists" in out
    status, out, _ = manage(*provision(file, "--dry-run", "--skip-existing", "--json"))
    assert (status, json.loads(out)["succeeded"]) == (0, 8)
    assert BulkJob.objects.count() == 1


def test_a_job_that_was_paused_goes_on_by_its_command(manage, file, provider):
    answer = provider.answer

    def pausing_answer(request):
        if len(provider.instances) == 2:
            pause_bulk_job(BulkJob.objects.get())
            connection.close()
            provider.answer = answer
            # Long enough for the command to notice the pause before this row is finished.
            time.sleep(1.5)
        return answer(request)

    provider.answer = pausing_answer
    status, _, err = manage(*provision(file, "--concurrency", "1"))
    job_id = BulkJob.objects.get().pk
    assert status == 1
    assert re.match(rf"Bulk job {job_id} is paused after [3-6] of 8 rows\.", err)
    assert err.endswith(f"To resume it, run: manage.py resume_bulk_job {job_id}")
    status, out, _ = manage("resume_bulk_job", str(job_id))
    assert (status, out.splitlines()[-1]) == (0, "8 of 8 provisioned.")
    assert len(provider.instances) == 8


def test_failures_are_told_listed_and_retried_alone(manage, file, provider):
    provider.override = (401, {"message": "Who are you?"})
    status, _, err = manage(*provision(file))
    assert status == 1
    job_id = BulkJob.objects.get().pk
    assert err == (
        "8 of 8 rows failed. To retry only these, run: "
        f"manage.py resume_bulk_job {job_id} --retry-failures"
    )
    _, out, _ = manage("bulk_jobs", str(job_id))
    assert out.startswith(f"{job_id}  finished  8/8 rows, 8 failed  rows.csv  ada@example.com\n")
    assert "  row 2, Row 0: " in out
    provider.override = None
    status, out, _ = manage("resume_bulk_job", "--latest", "--retry-failures", "--json")
    assert (status, json.loads(out)["succeeded"]) == (0, 8)
    _, out, _ = manage("bulk_jobs", "--json")
    (document,) = json.loads(out)
    assert (document["state"], document["counts"]["succeeded"]) == ("finished", 8)


def test_what_is_enqueued_is_worked_on_by_the_workers(manage, file, provider):
    status, out, _ = manage(*provision(file, "--enqueue"))
    job = BulkJob.objects.get()
    assert status == 0
    assert f"Bulk job {job.pk} was enqueued." in out
    assert (job.state, len(provider.instances)) == ("finished", 8)


def test_ctrl_c_pauses_the_job_and_says_how_to_go_on(manage, file, provider, monkeypatch):
    rows = bulk_runs._Runner.rows

    def interrupted(self):
        with_end = rows(self)
        yield next(with_end)
        with_end.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(bulk_runs._Runner, "rows", interrupted)
    status, _, err = manage(*provision(file))
    job = BulkJob.objects.get()
    assert (status, job.state) == (1, "paused")
    assert f"To resume it, run: manage.py resume_bulk_job {job.pk}" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("resume_bulk_job", "4711"), "Bulk job 4711 does not exist."),
        (("resume_bulk_job", "--latest"), "There is no bulk job to resume."),
        (("bulk_jobs", "4711"), "Bulk job 4711 does not exist."),
        (("bulk_template", "nosuch"), "No element found with key or ID nosuch."),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(manage, arguments, sentence):
    status, _, err = manage(*arguments)
    assert status == 2
    assert sentence in err


def test_no_jobs_are_listed_as_such_and_a_finished_one_is_not_resumed(manage, file):
    assert manage("bulk_jobs")[1] == "There are no bulk jobs.\n"
    manage(*provision(file))
    status, _, err = manage("resume_bulk_job", str(BulkJob.objects.get().pk))
    assert status == 2
    assert "is finished, so this action is not available now" in err


def test_a_template_names_the_columns_and_holds_no_secret(manage):
    _, out, _ = manage("bulk_template", "keyed")
    assert out == "name,element,tags,api.key,site\r\nExample,keyed,first tag;second tag,,\r\n"


@pytest.mark.parametrize("number", ["0", "201", "many"])
def test_a_senseless_concurrency_is_refused(manage, file, number):
    with pytest.raises(CommandError, match="a number from 1 to 200"):
        call_command(*provision(file, "--concurrency", number))


def test_a_job_whose_command_was_killed_while_it_read_is_told_and_removed(manage, file):
    manage(*provision(file, "--enqueue"))
    job = BulkJob.objects.get()
    job.rows.update(outcome="pending", due_at=timezone.now(), instance=None)
    BulkJob.objects.update(state="reading", reading_at=timezone.now() - timedelta(minutes=5))
    _, out, _ = manage("bulk_jobs", str(job.pk))
    assert "stalled while reading" in out
    status, _, err = manage("resume_bulk_job", str(job.pk))
    assert status == 2
    assert f"To cancel it, run: manage.py bulk_jobs {job.pk} --cancel" in err
    status, out, _ = manage("bulk_jobs", str(job.pk), "--cancel")
    assert (status, out.split()[1]) == (0, "cancelled")
    assert not any(row.body for row in job.rows.all())
    assert manage("bulk_jobs", str(job.pk), "--cancel")[0] == 2
    assert manage("bulk_jobs", "--cancel")[0] == 2
