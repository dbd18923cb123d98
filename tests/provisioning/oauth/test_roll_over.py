"""A new client secret for 1,000 instances, moved to it a few at a time while the scheduler refreshes their tokens."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Semaphore

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from instances.models import Instance, OAuthApp
from instances.provisioning.lifecycle.sweeps import SweepReport, refresh_due_instances
from tests.support.connected import connected_row, make_due, oauth_definition, token_requests
from tests.support.factories import (
    make_element,
    make_oauth_app,
    make_organization_user,
)
from tests.support.processes import Process
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, Provider

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("lifecycle"),
]

NEW_SECRET = "second-client-secret-of-the-provider"
PATH = "/admin/instances/oauthapp/"
PATIENCE_SECONDS = 60
# Fewer than the scheduler has: more only wait for each other here.
THREADS = 8


class CountingProvider(Provider):
    """Accepts both secrets, and says when it answers a token request."""

    def __init__(self):
        super().__init__()
        self.client_secrets = {CLIENT_SECRET, NEW_SECRET}
        self.asked = Semaphore(0)

    def answer(self, request):
        if request.path == "/token":
            self.asked.release()
        return super().answer(request)

    def await_requests(self, count):
        for _ in range(count):
            assert self.asked.acquire(timeout=PATIENCE_SECONDS)

    @property
    def secrets_sent(self):
        return Counter(one.form["client_secret"] for one in token_requests(self))


@pytest.fixture
def provider(settings):
    with CountingProvider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        yield provider


@pytest.fixture
def old_app(provider):
    definition = oauth_definition(provider.url)
    definition["authentication"][0]["token_endpoint_auth_method"] = "client_secret_post"
    return make_oauth_app(
        organization=make_organization_user().organization,
        element=make_element(definition),
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )


@pytest.fixture
def operator(admin_client):
    return admin_client


def make_instances(provider, app, count):
    [user] = app.organization.users.all()
    fields = {"organization_user": user, "element": app.element, "oauth_app": app}
    now = timezone.now()
    rows = [
        # Refreshed from the end, while they are moved from the beginning.
        connected_row(provider, number, refresh_due_at=now - timedelta(seconds=number), **fields)
        for number in range(count)
    ]
    Instance.objects.bulk_create(rows, batch_size=500)
    return list(Instance.objects.order_by("pk"))


def add_app(operator, old_app):
    entered = {
        "organization": old_app.organization.pk,
        "element": old_app.element.pk,
        "name": "New secret",
        "client_id": CLIENT_ID,
        "new_client_secret": NEW_SECRET,
    }
    operator.post(f"{PATH}add/", entered)
    return OAuthApp.objects.exclude(pk=old_app.pk).get()


def move(operator, old_app, new_app, count):
    operator.post(f"{PATH}{new_app.pk}/move/", {"source": old_app.pk, "count": count})
    return new_app.instances.count()


def refresh_all():
    report = SweepReport()
    while (turn := refresh_due_instances(concurrency=THREADS)).total:
        report.add(turn)
    return report


def refresh_in_thread():
    try:
        return refresh_all()
    finally:
        connection.close()


def require_all_refreshed_twice(count):
    columns = ("state", "tokens_version", "refresh_failures", "refresh_refusals")
    rows = Instance.objects.values_list(*columns)
    assert Counter(rows) == {("connected", 2, 0, 0): count}


def test_a_secret_is_rolled_over_1000_instances_while_they_are_refreshed(
    provider, operator, old_app
):
    instances = make_instances(provider, old_app, 1_000)
    new_app = add_app(operator, old_app)
    with ThreadPoolExecutor(1) as scheduler:
        refreshed = scheduler.submit(refresh_in_thread)
        for batch in range(1, 11):
            provider.await_requests(50)
            assert move(operator, old_app, new_app, 100) == 100 * batch
    report = refreshed.result()
    assert (report.succeeded, report.failures) == (1_000, {})
    sent = provider.secrets_sent
    assert sent.total() == 1_000
    assert min(sent[CLIENT_SECRET], sent[NEW_SECRET]) > 100
    # Revoked at the provider, and deleted here.
    provider.client_secrets = {NEW_SECRET}
    operator.post(f"{PATH}{old_app.pk}/delete/", {"post": "yes"})
    make_due(*instances)
    report = refresh_all()
    assert (report.succeeded, report.failures) == (1_000, {})
    assert provider.secrets_sent[NEW_SECRET] == sent[NEW_SECRET] + 1_000
    require_all_refreshed_twice(1_000)


def test_a_process_killed_between_two_batches_loses_nothing(provider, operator, old_app, tmp_path):
    instances = make_instances(provider, old_app, 30)
    new_app = add_app(operator, old_app)
    mover = Process(
        "-m", "tests.support.worker", "move", str(old_app.pk), str(new_app.pk), "10",
        folder=tmp_path, providers=settings.PROVIDER_ALLOWED_PRIVATE_HOSTS,
    )  # fmt: skip
    try:
        assert mover.hear() == 10
        mover.say()
        assert mover.hear() == 10
    finally:
        mover.kill()
        mover.stop()
    assert list(new_app.instances.order_by("pk")) == instances[:10]
    assert refresh_all().succeeded == 30
    assert provider.secrets_sent == {CLIENT_SECRET: 20, NEW_SECRET: 10}
    assert move(operator, old_app, new_app, 100) == 30
    provider.client_secrets = {NEW_SECRET}
    make_due(*instances)
    assert refresh_all().failures == {}
    require_all_refreshed_twice(30)
