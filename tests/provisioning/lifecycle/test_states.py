import threading

import pytest
from django.db import connection

from instances.errors import StateConflictError
from instances.models import Instance, StateChange
from instances.provisioning.lifecycle.states import (
    MOVES,
    Move,
    insert_in_state,
    move_instance,
    move_instances,
)
from tests.support.factories import make_instance

pytestmark = pytest.mark.django_db
State = Instance.State


def test_a_move_is_recorded_with_who_and_why():
    instance = make_instance()
    move_instance(instance, State.PROVISIONING, expect={State.DRAFT}, actor="ada", why="Because.")
    change = instance.state_changes.first()
    assert instance.state == "provisioning"
    assert (change.from_state, change.to_state) == ("draft", "provisioning")
    assert (change.actor, change.reason) == ("ada", "Because.")


def test_a_move_from_a_state_that_is_not_expected_changes_nothing():
    instance = make_instance()
    with pytest.raises(StateConflictError, match="in the state “draft”"):
        move_instance(instance, State.CONNECTED, expect={State.PROVISIONING}, actor="a", why="b")
    assert Instance.objects.get().state == "draft"


@pytest.mark.parametrize("to", [State.CONNECTED, State.FAILED, State.UNKNOWN])
def test_an_impossible_move_is_rejected(to):
    instance = make_instance()
    with pytest.raises(StateConflictError):
        move_instance(instance, to, expect=set(State.values), actor="a", why="b")


def test_a_move_of_a_row_that_has_moved_since_it_was_read_is_rejected():
    instance = make_instance()
    stale = Instance.objects.get(pk=instance.pk)
    move_instance(instance, State.PROVISIONING, expect={State.DRAFT}, actor="first", why="x")
    with pytest.raises(StateConflictError, match="another process"):
        move_instance(stale, State.DELETING, expect={State.DRAFT}, actor="second", why="x")
    assert [change.actor for change in StateChange.objects.exclude(reason="Created.")] == ["first"]


def there_and_back(instance):
    """Somebody else begins to provision it, and gives it back: its state is what it was."""
    for expected, to in [(State.DRAFT, State.PROVISIONING), (State.PROVISIONING, State.DRAFT)]:
        move_instance(instance, to, expect={expected}, actor="first", why="x")


def test_a_state_that_was_left_and_returned_to_is_not_the_one_that_was_read():
    instance = make_instance()
    stale = Instance.objects.get(pk=instance.pk)
    there_and_back(instance)
    with pytest.raises(StateConflictError, match="another process"):
        move_instance(stale, State.PROVISIONING, expect={State.DRAFT}, actor="second", why="x")
    assert Instance.objects.get().state == "draft"
    assert not StateChange.objects.filter(actor="second").exists()


def test_of_many_moved_at_once_one_that_left_its_state_and_returned_stays_where_it_is():
    instance, other = make_instance(), make_instance()
    moves = [
        Move(Instance.objects.get(pk=one.pk), State.PROVISIONING, why="x")
        for one in (instance, other)
    ]
    there_and_back(instance)
    conflicts = move_instances(moves, expect={State.DRAFT}, actor="second")
    assert list(conflicts) == [instance.pk]
    assert Instance.objects.get(pk=instance.pk).state == "draft"
    assert Instance.objects.get(pk=other.pk).state == "provisioning"
    assert StateChange.objects.get(actor="second").instance == other


def test_columns_that_change_with_the_state_are_sealed_and_searchable():
    instance = make_instance()
    move_instance(instance, State.PROVISIONING, expect={State.DRAFT}, actor="a", why="b")
    move_instance(
        instance,
        State.CONNECTED,
        expect={State.PROVISIONING},
        actor="a",
        why="b",
        token="element-token-1",
        remote_id=7,
    )
    found = Instance.objects.with_token("element-token-1").get()
    assert (found.remote_id, found.token.reveal()) == (7, "element-token-1")


def test_every_state_has_its_moves():
    assert set(MOVES) == {"", *State.values}


@pytest.mark.django_db(transaction=True)
def test_of_many_concurrent_moves_one_succeeds():
    instance = make_instance()
    outcomes = []
    barrier = threading.Barrier(8)

    def attempt():
        row = Instance.objects.get(pk=instance.pk)
        barrier.wait()
        try:
            move_instance(row, State.PROVISIONING, expect={State.DRAFT}, actor="a", why="b")
            outcomes.append("moved")
        except StateConflictError:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["moved"] + ["refused"] * 7
    assert StateChange.objects.filter(to_state="provisioning").count() == 1


def test_an_instance_starts_only_in_certain_states():
    instance = make_instance()
    copy = Instance(
        organization_user=instance.organization_user,
        element=instance.element,
        name="Copy",
        authentication_type=instance.authentication_type,
    )
    copy.tag_names = ["acme"]
    with pytest.raises(StateConflictError):
        insert_in_state([copy], State.UNKNOWN, actor="test", why="Lost.")
    assert Instance.objects.get() == instance
    insert_in_state([copy], State.PROVISIONING, actor="test", why="Provisioning started.")
    stored = Instance.objects.get(name="Copy")
    change = stored.state_changes.get()
    assert (stored.state, change.from_state, change.to_state) == (
        "provisioning",
        "",
        "provisioning",
    )
    assert stored.next_action_at is not None
    assert stored.tag_names == ["acme"]
