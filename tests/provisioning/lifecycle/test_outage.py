"""A provider is down for six simulated hours; all instances recover."""

from datetime import timedelta

import pytest
from django.db.models import Count
from django.utils import timezone

from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.schedule import FIRST_RETRY, LAST_RETRY
from instances.provisioning.lifecycle.sweeps import refresh_due_instances, work_due_instances
from tests.support.connected import connected_row, oauth_definition
from tests.support.factories import make_element, make_organization_user
from tests.support.provider import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.django_db(transaction=True)

OUTAGE = timedelta(hours=6)
STEP = timedelta(minutes=5)
# The lower end of the jitter: the smallest part of its wait after which a retry can come.
LEAST = 0.8


class Clock:
    """The program's time, which the test moves."""

    def __init__(self, monkeypatch):
        self.now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: self.now)
        # The database's clock moves along.
        monkeypatch.setattr("instances.queries.database_clock.clock_skew", lambda: timedelta(0))

    def run_for(self, duration):
        """Let the scheduler do what becomes due in that time."""
        end = self.now + duration
        while self.now < end:
            self.now += STEP
            for sweep in (refresh_due_instances, work_due_instances):
                while (report := sweep()).succeeded or report.failures:
                    pass


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def make_connected_ones(provider, count, *, now):
    """Create instances that are due for a refresh soon and for a check within a day."""
    user = make_organization_user()
    element = make_element(oauth_definition(provider.url))
    rows = []
    for number in range(count):
        row = connected_row(
            provider,
            number,
            organization_user=user,
            element=element,
            expires_at=now + timedelta(minutes=30),
            refresh_due_at=now + timedelta(minutes=10) * (number / count),
            next_action_at=now + timedelta(days=1) * (number / count),
        )
        row.secret_configuration = {"oauth.api.key": CLIENT_ID, "oauth.api.secret": CLIENT_SECRET}
        rows.append(row)
    Instance.objects.bulk_create(rows, batch_size=500)


def most_attempts(duration):
    """Return the largest possible number of retries in a time."""
    attempts, waited = 0, timedelta(0)
    while waited <= duration:
        waited += LEAST * min(FIRST_RETRY * 2**attempts, LAST_RETRY)
        attempts += 1
    return attempts


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(200, marks=pytest.mark.slow),
        pytest.param(10_000, marks=pytest.mark.endurance),
    ],
)
def test_all_instances_survive_an_outage_of_six_hours_without_flooding_the_provider(
    provider, clock, count
):
    make_connected_ones(provider, count, now=clock.now)
    provider.override = (503, {"message": "down"})
    clock.run_for(OUTAGE)
    states = Instance.objects.order_by().values_list("state", flat=True).distinct()
    assert list(states) == ["connected"]
    assert set(Instance.objects.values_list("cause", flat=True)) == {"provider_down"}
    asked = Interaction.objects.order_by().values("instance_id").annotate(n=Count("id"))
    # A check with an expired access token refreshes it, so it counts as a further attempt.
    assert max(row["n"] for row in asked) <= 2 * most_attempts(OUTAGE)
    assert len(provider.requests) <= 2 * count * most_attempts(OUTAGE)
    provider.override = None
    clock.run_for(1.3 * LAST_RETRY)
    assert Instance.objects.filter(cause="", refresh_failures=0).count() == count
    assert Instance.objects.filter(expires_at__gt=clock.now, tokens_version__gte=1).count() == count
