"""Uploads: the first rows are checked at once, the file is stored sealed, and a task reads it."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from instances.bulk.admin import uploads as bulk_uploads
from instances.bulk.files.formats import read_rows
from instances.bulk.jobs import ADOPT_AFTER
from instances.bulk.reading import MAX_READINGS, read_stored_file
from instances.bulk.stored_files import open_stored_file
from instances.bulk.tasks import recover_and_enqueue
from instances.crypto import sealing
from instances.errors import UnreadableSecretError
from instances.models import BulkFilePart, BulkJob, BulkRow, Instance
from tests.bulk.admin.test_jobs import ADD, FILE, do, page_of, upload
from tests.support.factories import make_element, make_instance, make_user
from tests.support.workbook import make_workbook

pytestmark = pytest.mark.django_db(transaction=True)

HEAD = "name;element;site;api.key\n"
ROWS = [f"Row {number};keyed;acme;s3cr3t-{number}\n" for number in range(3_000)]


@pytest.fixture
def no_worker(settings):
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The submitted file is empty."),
        (b"[", "invalid JSON"),
        (b"some text\n", "column &quot;name&quot; is missing"),
        (b'[{"name": "a"}, oops]', "Line 1, column 17: invalid JSON"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook of the old format (.xls)"),
        (HEAD.encode() + b"\xfc;keyed;;\n", "Line 2: the text is not valid UTF-8."),
        (HEAD.encode() + b"a;keyed;;;b\nc;keyed;;;d\n", "Line 3: column 5 has a value"),
        (HEAD.encode(), "The file contains no instances."),
    ],
)
def test_a_file_that_cannot_be_read_makes_no_job(operator, user, content, sentence):
    page = upload(operator, user, content)
    assert sentence in page.text
    assert not BulkJob.objects.exists()
    assert not BulkFilePart.objects.exists()


def test_an_upload_that_is_too_long_is_refused_in_a_sentence(operator, user, monkeypatch):
    monkeypatch.setattr(bulk_uploads, "MAX_UPLOAD_BYTES", 70_000)
    page = upload(operator, user, FILE + "x" * 200_000)
    assert "The file is larger than" in page.text
    assert not BulkJob.objects.exists()


def test_an_upload_never_touches_the_disk(operator, user, settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "absent")
    # Longer than what Django keeps in memory, and than a part of the stored file.
    rows = "".join(f"Row {n};keyed;acme;{'x' * 3000}\n" for n in range(900))
    assert len(rows) > settings.FILE_UPLOAD_MAX_MEMORY_SIZE
    upload(operator, user, FILE + rows)
    assert BulkRow.objects.count() == 902


def test_an_upload_from_elsewhere_is_refused(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user("operator", is_superuser=True))
    assert upload(browser, user).status_code == 403
    assert not BulkJob.objects.exists()
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', browser.get(ADD).text)
    assert token
    upload(browser, user, csrfmiddlewaretoken=token[1])
    assert BulkJob.objects.count() == 1


def test_a_long_file_is_stored_in_few_statements_and_read_by_a_worker(
    operator, user, no_worker, django_assert_max_num_queries
):
    with django_assert_max_num_queries(40):
        page = upload(operator, user, HEAD + "".join(ROWS))
    assert "Reading the file …" in page.text
    assert 'data-refresh-seconds="2"' in page.text
    job = BulkJob.objects.get()
    assert (job.state, job.rows.count()) == ("reading", 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM instances_bulkfilepart")
        assert not any("s3cr3t" in content for [content] in cursor.fetchall())
    assert read_stored_file(job) == 3_000
    page = page_of(operator, job)
    assert "0 of 3,000 rows done" in page.text
    assert "The dry run is in progress." in page.text
    assert not BulkFilePart.objects.exists()
    stored = BulkRow.objects.values_list("body", flat=True)
    assert not any("s3cr3t" in str(body) for body in stored)
    assert BulkRow.objects.get(number=3_001).body.reveal()["name"] == "Row 2999"


def test_a_file_of_many_parts_is_read_as_it_was_uploaded(operator, user, no_worker, monkeypatch):
    monkeypatch.setattr("instances.bulk.stored_files.PART_BYTES", 1_000)
    content = HEAD + "".join(ROWS)
    upload(operator, user, content)
    job = BulkJob.objects.get()
    assert job.file_parts.count() == -(-len(content) // 1_000) > 16
    assert open_stored_file(job).read().decode() == content


def test_a_file_that_proves_unreadable_ends_its_job_without_a_row(
    operator, user, no_worker, capsys
):
    upload(operator, user, HEAD + "".join(ROWS) + 'Last;keyed;acme;"s3cr3t\n')
    job = BulkJob.objects.get()
    assert read_stored_file(job) == 0
    job.refresh_from_db()
    assert (job.state, job.rows.count(), job.file_parts.count()) == ("unreadable", 0, 0)
    page = page_of(operator, job)
    assert "The file could not be read. Nothing was created." in page.text
    assert "Line 3002: a quotation mark is never closed" in page.text
    assert "s3cr3t" not in page.text
    assert page.context["meaning"] == "broken"
    call_command("bulk_jobs", str(job.pk))
    assert "unreadable" in (out := capsys.readouterr().out)
    assert "Line 3002: a quotation mark is never closed" in out
    assert "not available now" in do(operator, job, "start").text
    do(operator, job, "delete")
    assert not BulkJob.objects.exists()


def test_a_file_whose_element_and_encoding_were_chosen_is_read_with_them(operator, user):
    content = "name;SITE;api.key;note\nMüller;acme;s3cr3t;x\n".encode("cp1252")
    chosen = {"element": make_element().pk, "encoding": "windows-1252"}
    page = upload(operator, user, content, **chosen)
    row = BulkRow.objects.get()
    assert row.body.reveal() == {
        "name": "Müller",
        "element": {"key": "keyed"},
        "configuration": {"site": "acme", "api.key": "s3cr3t", "note": "x"},
    }
    assert "keyed has no key “note”." in page.text
    assert "The dry run found no problems." in page.text


def test_a_workbook_is_uploaded_and_read(operator, user):
    head, rows = HEAD.strip().split(";"), [row.strip().split(";") for row in ROWS[:300]]
    page = upload(operator, user, make_workbook([head, *rows], others=1))
    assert "The dry run found no problems." in page.text
    assert "The sheet “Accounts” was read. The other sheets were skipped." in page.text
    assert BulkRow.objects.get(number=301).body.reveal()["name"] == "Row 299"


@pytest.fixture
def crash(monkeypatch):
    """Return a function that reads a job's file in a worker that is killed after this many batches of rows."""

    def crash(job, *, after):
        batches = iter(range(after))
        insert = QuerySet.bulk_create

        def insert_or_die(rows, *args, **options):
            if next(batches, None) is None:
                raise SystemExit
            return insert(rows, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(QuerySet, "bulk_create", insert_or_die)
            with pytest.raises(SystemExit):
                read_stored_file(BulkJob.objects.get(pk=job.pk))

    return crash


def pass_time():
    long_ago = timezone.now() - 2 * ADOPT_AFTER
    BulkJob.objects.update(reading_at=long_ago, enqueued_at=long_ago)


def test_reading_starts_again_if_its_worker_was_killed_and_doubles_nothing(
    operator, user, settings, crash
):
    engine = settings.TASKS
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
    upload(operator, user, HEAD + "".join(ROWS))
    job = BulkJob.objects.get()
    crash(job, after=2)
    assert job.rows.count() == 1_000
    settings.TASKS = engine
    # For all that is known, the other worker goes on.
    assert read_stored_file(BulkJob.objects.get()) == 0
    recover_and_enqueue()
    assert BulkJob.objects.get().state == "reading"
    pass_time()
    recover_and_enqueue()
    job.refresh_from_db()
    assert (job.state, job.rows.count(), bool(job.checked_at)) == ("draft", 3_000, True)
    assert BulkRow.objects.values("number").distinct().count() == 3_000


def test_a_worker_that_was_overtaken_stores_no_row_more(operator, user, no_worker, monkeypatch):
    upload(operator, user, HEAD + "".join(ROWS))

    def overtaken(*args, **options):
        for number, row in enumerate(read_rows(*args, **options)):
            if number == 700:
                BulkJob.objects.update(reader=uuid4())
            yield row

    monkeypatch.setattr("instances.bulk.reading.read_rows", overtaken)
    job = BulkJob.objects.get()
    assert read_stored_file(job) == 0
    assert (BulkJob.objects.get().state, job.rows.count()) == ("reading", 500)
    assert job.file_parts.exists()


def test_a_file_that_crashes_its_workers_is_given_up(operator, user, no_worker, crash):
    upload(operator, user, HEAD + "".join(ROWS))
    job = BulkJob.objects.get()
    for _ in range(MAX_READINGS):
        crash(job, after=1)
        pass_time()
    assert read_stored_file(BulkJob.objects.get()) == 0
    page = page_of(operator, job)
    assert "The worker crashed 3 times while it read the file." in page.text
    assert (BulkRow.objects.count(), BulkFilePart.objects.count()) == (0, 0)


def test_an_upload_is_cancelled_before_and_while_it_is_read(operator, user, no_worker, crash):
    for batches in (0, 1):
        upload(operator, user, HEAD + "".join(ROWS))
        job = BulkJob.objects.latest("pk")
        if batches:
            crash(job, after=batches)
        do(operator, job, "cancel")
        pass_time()
        assert read_stored_file(BulkJob.objects.get(pk=job.pk)) == 0
        job.refresh_from_db()
        assert (job.state, job.file_parts.count()) == ("cancelled", 0)
        assert not any(row.body for row in job.rows.all())


@pytest.mark.parametrize("part", [0, 1])
def test_reading_stops_when_the_job_is_cancelled_between_two_parts(
    operator, user, no_worker, monkeypatch, part
):
    monkeypatch.setattr("instances.bulk.stored_files.PART_BYTES", 50_000)
    upload(operator, user, HEAD + "".join(ROWS))
    job = BulkJob.objects.get()
    reveal = BulkFilePart.reveal

    def cancelled_after(self, name):
        if self.number == part:
            do(operator, job, "cancel")
        return reveal(self, name)

    monkeypatch.setattr(BulkFilePart, "reveal", cancelled_after)
    assert read_stored_file(job) == 0
    job.refresh_from_db()
    assert (job.state, job.file_parts.count()) == ("cancelled", 0)


def test_a_job_that_is_cancelled_before_its_first_part_is_read_ends_nothing(
    operator, user, no_worker, monkeypatch
):
    upload(operator, user, HEAD + "".join(ROWS))
    job = BulkJob.objects.get()

    def cancelled(*args, **options):
        do(operator, job, "cancel")
        return read_rows(*args, **options)

    monkeypatch.setattr("instances.bulk.reading.read_rows", cancelled)
    assert read_stored_file(job) == 0
    job.refresh_from_db()
    assert (job.state, job.error) == ("cancelled", "")


def test_a_file_whose_key_is_missing_for_a_while_is_kept_and_read_later(
    operator, user, no_worker, settings
):
    upload(operator, user, HEAD + "".join(ROWS))
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    for _ in range(MAX_READINGS + 1):
        with pytest.raises(UnreadableSecretError):
            read_stored_file(BulkJob.objects.get())
        job = BulkJob.objects.get()
        assert (job.state, job.file_parts.exists()) == ("reading", True)
        pass_time()
    settings.ENCRYPTION_KEYS = keys
    assert read_stored_file(BulkJob.objects.get()) == 3_000


def test_an_upload_that_no_worker_reads_is_told(operator, user, no_worker):
    upload(operator, user)
    BulkJob.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    assert "No worker is reading the file." in page_of(operator, BulkJob.objects.get()).text


TWICE = HEAD + "One;keyed;acme;a\nOne;keyed;acme;b\nThere;keyed;acme;c\n"


@pytest.mark.parametrize(
    ("chosen", "outcomes"),
    [
        ({}, ["succeeded", "failed", "failed"]),
        ({"is_skipping_existing": "on"}, ["succeeded", "skipped", "skipped"]),
        ({"is_allowing_duplicates": "on"}, ["succeeded", "succeeded", "succeeded"]),
    ],
    ids=["refused", "skipped", "created"],
)
def test_duplicates_are_refused_unless_they_are_confirmed(operator, user, chosen, outcomes):
    make_instance(organization_user=user, element=make_element(), name="There")
    page = upload(operator, user, TWICE, **chosen)
    job = BulkJob.objects.get()
    refused = outcomes.count("failed")
    assert job.rows.exclude(verdict="").count() == refused
    assert ("Create duplicates too" in page.text) == bool(refused)
    do(operator, job, "start")
    assert list(job.rows.values_list("outcome", flat=True)) == outcomes
    assert Instance.objects.count() == 1 + outcomes.count("succeeded")


def test_duplicates_are_either_skipped_or_created(operator, user):
    chosen = {"is_skipping_existing": "on", "is_allowing_duplicates": "on"}
    assert "Either skip existing instances" in upload(operator, user, TWICE, **chosen).text
    assert not BulkJob.objects.exists()


def test_duplicates_are_confirmed_after_the_dry_run(operator, user):
    upload(operator, user, TWICE.replace("There", "Two"))
    job = BulkJob.objects.get()
    assert "The dry run found no problems." in do(operator, job, "allow-duplicates").text
    do(operator, job, "start")
    assert Instance.objects.count() == 3
