"""TASKS_BACKEND=celery with an unavailable broker: each page says so, and nothing is lost."""

import socket
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from instances.models import BulkJob, Instance
from instances.taskqueue.celery_backend import app
from tests.bulk.admin.test_jobs import do, make_job, upload
from tests.support.factories import make_instance

pytestmark = pytest.mark.django_db(transaction=True)

NOT_ASKED = "The background workers could not be reached: the broker does not respond"
LATER = "the scheduler will enqueue the job within two minutes"
PASSWORD = "p4ss-of-the-broker"


@pytest.fixture
def heal(settings, monkeypatch):
    """The broker is down until this is called: then tasks run immediately, and the scheduler runs one turn."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(app.conf, "broker_url", f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    immediate = settings.TASKS
    settings.TASKS = {"default": {"BACKEND": "instances.taskqueue.celery_backend.CeleryBackend"}}

    def heal():
        settings.TASKS = immediate
        BulkJob.objects.update(enqueued_at=timezone.now() - timedelta(minutes=2))
        call_command("scheduler", once=True)

    return heal


@pytest.mark.slow
def test_a_job_that_cannot_be_handed_over_is_handed_over_by_the_scheduler(operator, user, heal):
    job = make_job(user)
    page = do(operator, job, "start")
    assert NOT_ASKED in page.text
    assert LATER in page.text
    assert PASSWORD not in page.text
    BulkJob.objects.update(enqueued_at=timezone.now() - timedelta(minutes=2))
    call_command("scheduler", once=True)
    assert BulkJob.objects.get().state == "running"
    heal()
    assert BulkJob.objects.get().state == "finished"
    assert Instance.objects.filter(state="connected").count() == 2


def test_a_file_that_cannot_be_handed_over_is_handed_over_by_the_scheduler(operator, user, heal):
    page = upload(operator, user)
    assert "The file was uploaded." in page.text
    assert LATER in page.text
    assert "Reading the file …" in page.text
    heal()
    assert BulkJob.objects.get().checked_at
    call_command("scheduler", once=True)
    assert BulkJob.objects.get().state == "draft"


def test_an_action_on_many_instances_leaves_them_as_they_are_and_says_so(operator, provider, heal):
    instances = [make_instance(), make_instance()]
    chosen = {"action": "provision", "_selected_action": [one.pk for one in instances]}
    page = operator.post(
        "/admin/instances/instance/", chosen | {"confirmed": "yes"}, follow=True
    ).text
    assert NOT_ASKED in page
    assert "2 instances were skipped. Try again later." in page
    assert "worked on" not in page
    assert set(Instance.objects.values_list("state", flat=True)) == {"draft"}


@pytest.mark.slow
def test_the_command_keeps_the_job_and_says_who_goes_on(user, heal):
    job = make_job(user)
    with pytest.raises(CommandError, match="is saved; the scheduler will enqueue it") as refusal:
        call_command("resume_bulk_job", str(job.pk), "--enqueue")
    assert NOT_ASKED in str(refusal.value)
    assert refusal.value.returncode == 1
    heal()
    assert BulkJob.objects.get().state == "finished"
