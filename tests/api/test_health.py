"""The health operation of an instance, which is our own addition."""

from instances.models import Instance
from instances.provisioning.lifecycle.switches import set_enabled
from tests.support.factories import make_interaction


def on_the_wire(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def health_of(api, instance):
    response = api.get(f"instances/{instance['id']}/health")
    assert response.status_code == 200
    return response.json()


def test_an_instance_that_exchanged_nothing_is_unverified_and_says_when_it_is_checked(
    api, instance
):
    row = Instance.objects.get()
    assert health_of(api, instance) == {
        "state": "connected",
        "status": "unverified",
        "valid": True,
        "disabled": False,
        "verified": False,
        "missingScopes": [],
        "account": {},
        "cause": None,
        "responsible": None,
        "advice": "The credentials are stored, but not verified: this connector has no check. The first exchange "
        "that succeeds verifies them.",
        "nextStep": None,
        "interactionId": None,
        "lastCheckedAt": None,
        "lastSucceededAt": None,
        "nextCheckAt": on_the_wire(row.next_action_at),
        "nextRefreshAt": None,
        "expiresAt": None,
    }


def test_a_failing_instance_says_why_and_who_must_act(api, instance):
    exchange = make_interaction(instance=Instance.objects.get())
    Instance.objects.update(
        cause="client_rejected",
        cause_message="unauthorized_client",
        cause_interaction=exchange,
    )
    health = health_of(api, instance)
    assert (
        health["cause"],
        health["responsible"],
        health["nextStep"],
        health["interactionId"],
    ) == (
        "Keyed rejected the OAuth app or the organization's secrets.",
        "operator",
        "check",
        exchange.pk,
    )
    assert health["advice"].startswith("Correct the OAuth app")


def test_a_disabled_instance_is_turned_to_by_nobody(api, instance):
    set_enabled(Instance.objects.get(), is_enabled=False, actor="ada")
    health = health_of(api, instance)
    assert (health["disabled"], health["nextStep"], health["nextCheckAt"]) == (True, "enable", None)


def test_nobody_elses_instance_is_told_of(api):
    assert api.get("instances/4711/health").status_code == 404
