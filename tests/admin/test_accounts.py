"""Finding instances by the account at the provider, and accounts that several instances connect."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from instances.models import Instance
from instances.provisioning.lifecycle.states import Move, State, move_instance, move_instances
from tests.support.factories import make_element, make_instance, make_organization_user

INSTANCES = reverse("admin:instances_instance_changelist")
ADA = {"UserId": "u1", "OrganizationId": "o1"}
BOB = {"UserId": "u2", "OrganizationId": "o1"}


def connected(name, account, **fields):
    instance = make_instance(name=name, **fields)
    move_instance(instance, State.PROVISIONING, expect={State.DRAFT}, actor="test", why="test")
    move_instance(
        instance,
        State.CONNECTED,
        expect={State.PROVISIONING},
        actor="test",
        why="test",
        token=f"token of {name}",
        account_identity=account,
    )
    return instance


def names(page):
    return sorted(one.name for one in page.context["cl"].result_list)


def page_of(client, instance):
    return client.get(reverse("admin:instances_instance_change", args=[instance.pk]))


def test_the_search_finds_every_part_of_an_account(operator):
    connected("Ada", ADA)
    connected("Bob", BOB)
    connected("Unknown", None)
    assert names(operator.get(INSTANCES, {"q": "u1"})) == ["Ada"]
    assert names(operator.get(INSTANCES, {"q": "o1"})) == ["Ada", "Bob"]
    assert names(operator.get(INSTANCES, {"q": "o"})) == []


def test_instances_of_one_account_lead_to_each_other(operator):
    first, second = connected("First", ADA), connected("Second", dict(reversed(ADA.items())))
    connected("Bob", BOB)
    connected("Unknown", None)
    connected("Other element", ADA, element=make_element(id=2_000_007, key="other"))
    page = page_of(operator, first)
    assert "1 other instance connects the same account." in page.text
    assert names(operator.get(f"{INSTANCES}?account_of={first.pk}")) == ["First", "Second"]
    assert f"?account_of={first.pk}" in page.text
    assert names(operator.get(INSTANCES, {"question": "shared-account"})) == ["First", "Second"]
    assert "the same account" not in page_of(operator, Instance.objects.get(name="Bob")).text
    # What else is asked does not decide what a duplicate is.
    answer = operator.get(INSTANCES, {"question": "shared-account", "q": "second"})
    assert names(answer) == [second.name]


def test_nobody_learns_of_instances_out_of_reach(sign_in, operator):
    client = sign_in("view_instance")
    user = User.objects.get(pk=client.session["_auth_user_id"])
    own = connected("Own", ADA, organization_user=make_organization_user(user=user))
    foreign = connected("Foreign", ADA)
    assert "the same account" not in page_of(client, own).text
    assert names(client.get(INSTANCES, {"question": "shared-account"})) == []
    assert names(client.get(f"{INSTANCES}?account_of={foreign.pk}")) == []
    assert names(client.get(INSTANCES, {"q": "u1"})) == ["Own"]
    assert "1 other instance" in page_of(operator, own).text


@pytest.mark.parametrize("value", ["", "x", "-1", "9" * 30, "0"])
def test_an_id_that_is_none_breaks_nothing(operator, value):
    connected("Ada", ADA)
    assert operator.get(f"{INSTANCES}?account_of={value}").status_code == 200


def test_many_instances_are_found_as_one_is(operator):
    rows = [make_instance(name=f"Row {number}") for number in range(3)]
    for row in rows:
        move_instance(row, State.PROVISIONING, expect={State.DRAFT}, actor="test", why="test")
    moves = [
        Move(
            row,
            State.CONNECTED,
            "test",
            {"token": f"token of {row.name}", "account_identity": account},
        )
        for row, account in zip(rows, [ADA, BOB, ADA], strict=True)
    ]
    assert move_instances(moves, expect={State.PROVISIONING}, actor="test") == {}
    assert names(operator.get(INSTANCES, {"q": "u1"})) == ["Row 0", "Row 2"]
    assert names(operator.get(INSTANCES, {"question": "shared-account"})) == ["Row 0", "Row 2"]


def test_another_account_replaces_what_the_instance_was_found_by(operator):
    instance = connected("Ada", ADA)
    move_instance(
        instance,
        State.CONNECTED,
        expect={State.CONNECTED},
        actor="test",
        why="test",
        account_identity={"UserId": "u3"},
    )
    assert names(operator.get(INSTANCES, {"q": "u1"})) == []
    assert names(operator.get(INSTANCES, {"q": "u3"})) == ["Ada"]
