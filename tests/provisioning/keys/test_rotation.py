"""Rotating ENCRYPTION_KEYS while the program runs."""

import io
import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.utils import timezone

from instances.crypto import sealing
from instances.models import AuthorizationLink, BulkJob, BulkRow, IdempotencyKey, Instance
from instances.provisioning.keys.rotation import BATCH_ROWS, rotate_encryption_keys
from instances.provisioning.oauth.authorize import begin_authorization
from instances.provisioning.oauth.callback import complete_authorization
from instances.provisioning.oauth.links import claim_link, find_link, make_link
from tests.support.connected import make_connected
from tests.support.factories import make_instance, make_user

pytestmark = pytest.mark.django_db(transaction=True)
LOST = "v1.00000000.AAAA"


@pytest.fixture
def rotate(settings):
    """Run the command; return its exit status, JSON and lines on standard error."""

    def rotate(*arguments):
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command("rotate_encryption_keys", "--json", *arguments, stdout=out, stderr=err)
            status = 0
        except CommandError as error:
            status = error.returncode
        return status, json.loads(out.getvalue())

    return rotate


@pytest.fixture
def new_first_key(settings):
    def new_first_key():
        settings.ENCRYPTION_KEYS = [sealing.generate_key(), *settings.ENCRYPTION_KEYS]

    return new_first_key


@pytest.fixture
def only_first_key(settings):
    def only_first_key():
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]

    return only_first_key


def write_raw(row, column, ciphertext):
    with connection.cursor() as cursor:
        statement = f"UPDATE {row._meta.db_table} SET {column} = %s WHERE id = %s"  # noqa: S608
        cursor.execute(statement, [ciphertext, row.pk])


def make_rows(count):
    """Create rows of a bulk job, each with one secret."""
    job = BulkJob.objects.create(organization_user=make_instance().organization_user, actor="test")
    rows = []
    for number in range(1, count + 1):
        row = BulkRow(job=job, number=number, due_at=timezone.now())
        row.body = {"name": f"Number {number}"}
        rows.append(row)
    BulkRow.objects.bulk_create(rows)
    return job


def test_every_kind_of_secret_is_readable_with_the_new_key_alone(
    provider, rotate, new_first_key, only_first_key
):
    instance = make_connected(provider)
    token, tokens = instance.token.reveal(), instance.tokens.reveal()
    secrets = instance.full_configuration()
    job = make_rows(3)
    new_first_key()
    assert rotate()[0] == 0
    only_first_key()
    [found] = Instance.objects.with_token(token)
    assert (found.token.reveal(), found.tokens.reveal()) == (token, tokens)
    assert found.full_configuration() == secrets
    assert found.organization_user.secret.reveal()
    assert [row.body.reveal()["name"] for row in job.rows.all()] == [
        f"Number {number}" for number in (1, 2, 3)
    ]


def test_a_stopped_rotation_continues_where_it_was(rotate, new_first_key):
    make_rows(2 * BATCH_ROWS + 5)
    new_first_key()
    total = rotate("--dry-run")[1]["rotated"]

    def stop(progress):
        if progress.model is BulkRow:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate_encryption_keys(on_progress=stop)
    status, result = rotate()
    assert status == 0
    assert BATCH_ROWS + 5 <= result["rotated"] <= total - BATCH_ROWS
    assert rotate()[1]["rotated"] == 0


def test_an_unreadable_row_is_skipped_and_listed_and_the_others_are_done(
    rotate, new_first_key, only_first_key
):
    broken, whole = make_instance(), make_instance()
    write_raw(broken, "secret_configuration", LOST)
    new_first_key()
    status, result = rotate()
    [row] = result["unreadable"]
    assert (status, row["model"], row["id"]) == (1, "instance", broken.pk)
    assert "the key 00000000, which is not in ENCRYPTION_KEYS" in str(row["reasons"])
    call_command("quarantine_unreadable", stdout=io.StringIO())
    status, result = rotate()
    assert (status, len(result["unreadable"])) == (0, 1)
    only_first_key()
    assert Instance.objects.get(pk=whole.pk).is_readable


def test_a_refresh_at_the_same_time_is_never_overwritten(provider, rotate, new_first_key):
    instance = make_connected(provider)
    new_first_key()
    newer = Instance.objects.get(pk=instance.pk)
    newer.tokens = {"access_token": "newer", "refresh_token": "newer"}
    is_stored = False

    def store_between_read_and_write(execute, sql, params, many, context):
        nonlocal is_stored
        if not is_stored and sql.startswith("UPDATE") and "instances_instance" in sql:
            is_stored = True
            Instance.objects.filter(pk=instance.pk).update(tokens=newer.tokens)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(store_between_read_and_write):
        status, result = rotate()
    assert (status, is_stored, result["changing"]) == (0, True, 0)
    assert Instance.objects.get(pk=instance.pk).tokens.reveal()["access_token"] == "newer"


def test_it_runs_while_other_processes_keep_writing(rotate, new_first_key):
    """Reading and writing in one transaction made SQLite report "database is locked"."""
    job = make_rows(2 * BATCH_ROWS)
    new_first_key()
    ended = threading.Event()
    written: list[int] = []

    def write():
        while not ended.is_set():
            with transaction.atomic():
                BulkJob.objects.filter(pk=job.pk).update(dry_runs_begun=len(written) % 100)
            written.append(1)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        status, result = rotate()
    finally:
        ended.set()
        writer.join()
    assert (status, result["rotated"] >= 2 * BATCH_ROWS, len(written) > 1) == (0, True, True)


def test_digests_need_the_old_key_until_they_expire(
    provider, rotate, new_first_key, only_first_key
):
    instance = make_connected(provider)
    user = make_user(is_superuser=True)
    link = make_link(instance, user=user).link
    begun = begin_authorization(instance, user=user, browser_secret="browser")
    key = IdempotencyKey.objects.create(
        organization_user=instance.organization_user,
        key_digest=sealing.digest("k"),
        body_digest=sealing.digest("b"),
        digest_key_id=sealing.first_key_id(),
        created_at=timezone.now(),
    )
    assert rotate() == (0, {"rotated": 0, "unreadable": [], "changing": 0, "waiting": []})
    new_first_key()
    status, result = rotate()
    until = {row["model"]: (row["count"], row["until"]) for row in result["waiting"]}
    assert status == 1
    assert until == {
        "authorizationlink": (1, link.expires_at.isoformat()),
        "authorization": (1, begun.authorization.expires_at.isoformat()),
        "idempotencykey": (1, (key.created_at + timedelta(days=1)).isoformat()),
    }
    past = timezone.now() - timedelta(days=8)
    type(begun.authorization).objects.update(expires_at=past)
    AuthorizationLink.objects.update(expires_at=past)
    IdempotencyKey.objects.update(created_at=past)
    assert rotate()[0] == 0


def test_links_and_authorizations_from_before_a_rotation_work_after_it(provider, new_first_key):
    instance = make_connected(provider)
    user = make_user(is_superuser=True)
    made = make_link(instance, user=user)
    begun = begin_authorization(instance, user=user, browser_secret="browser")
    new_first_key()
    rotate_encryption_keys()
    link = find_link(made.url.rpartition("/")[2], kept="")
    claim_link(link, fresh_secret="browser of the link")
    answer = provider.authorize(begun.url)
    complete_authorization(answer, user=user, browser_secret="browser")
    again = find_link(made.url.rpartition("/")[2], kept="browser of the link")
    assert again.pk == link.pk


def test_a_link_made_with_the_new_key_needs_only_that_key(
    provider, settings, rotate, new_first_key, only_first_key
):
    """Even if a process that still uses the old key binds it to a browser."""
    instance = make_connected(provider)
    new_first_key()
    rotate()
    made = make_link(instance, user=make_user(is_superuser=True))
    new, old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [old, new]
    claim_link(made.link, fresh_secret="browser")
    settings.ENCRYPTION_KEYS = [new, old]
    assert rotate()[0] == 0
    only_first_key()
    assert find_link(made.url.rpartition("/")[2], kept="browser") == made.link


def test_a_row_that_was_read_before_a_rotation_is_stored_under_the_new_key(
    rotate, new_first_key, only_first_key
):
    owner = make_instance().organization_user
    secret = owner.secret.reveal()
    new_first_key()
    assert rotate()[0] == 0
    owner.email = "other@example.com"
    owner.save()
    assert rotate("--dry-run")[1]["rotated"] == 0
    only_first_key()
    [found] = type(owner).objects.filter(secret_digest__in=sealing.digests(secret))
    assert (found.email, found.secret.reveal()) == ("other@example.com", secret)
