"""A leaked Element token is replaced; the old one ends at once, or after an overlap."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from instances.errors import StateConflictError
from instances.models import Instance
from instances.provisioning.access.tokens import replace_token
from tests.support.factories import make_instance, make_user


def replace(program, hours=0):
    replace_token(program.stored(), actor="mina", overlap=timedelta(hours=hours))
    return program.stored().token.reveal()


def status(program, token):
    return program.get("things", token=token).status_code


def test_the_new_token_works_and_the_old_one_ends_at_once(program):
    new = replace(program)
    assert (status(program, new), status(program, program.token)) == (200, 401)
    document = program.api.get(f"instances/{program.instance.pk}").json()
    assert document["token"] == new


def test_both_work_until_the_overlap_ends(program):
    new = replace(program, hours=1)
    assert (status(program, new), status(program, program.token)) == (200, 200)
    Instance.objects.update(previous_token_until=timezone.now() - timedelta(seconds=1))
    assert (status(program, new), status(program, program.token)) == (200, 401)


def test_the_one_before_ends_when_a_second_is_made(program):
    first = replace(program, hours=1)
    second = replace(program, hours=1)
    found = [status(program, token) for token in (program.token, first, second)]
    assert found == [401, 200, 200]
    third = replace(program)
    found = [status(program, token) for token in (first, second, third)]
    assert found == [401, 401, 200]


def test_it_is_recorded_who_replaced_it(program):
    new = replace(program, hours=24)
    change = program.stored().state_changes.first()
    assert (change.actor, change.from_state) == ("mina", change.to_state)
    assert change.reason.startswith("Element token replaced. The old one ends 2")
    assert new not in change.reason


def test_the_old_token_is_sealed(program):
    replace(program, hours=1)
    stored = program.stored()
    assert program.token not in str(Instance.objects.filter(pk=stored.pk).values().get())
    assert stored.previous_token.reveal() == program.token


def test_an_instance_without_a_token_has_none_to_replace(db):
    with pytest.raises(StateConflictError):
        replace_token(make_instance(), actor="mina", overlap=timedelta(0))


@pytest.mark.parametrize("may_reveal", [True, False])
@pytest.mark.parametrize("where", ["admin:instances_instance_action", "connection_action"])
def test_the_page_replaces_it_and_shows_it_to_those_who_may_see(
    where, may_reveal, program, client, settings
):
    permissions = ("view_instance", "change_instance", *(["reveal_token"] if may_reveal else []))
    user = make_user("mina", permissions=permissions)
    program.api.user.user = user
    program.api.user.save()
    client.force_login(user)
    url = reverse(where, args=[program.instance.pk, "replace-token"])
    page = client.get(url)
    assert page.status_code == 200
    assert "Replace Element token" in page.content.decode()
    assert status(program, program.token) == 200
    assert client.post(url, {"overlap": "12345"}).status_code == 200
    assert status(program, program.token) == 200
    page = client.post(url, {"overlap": "0"}, follow=True).content.decode()
    new = program.stored().token.reveal()
    assert new != program.token
    assert (new in page) is may_reveal
    assert "has a new Element token" in page
    assert status(program, program.token) == 401


def test_a_viewer_cannot_replace_it(program, client):
    user = make_user("mina", permissions=("view_instance",))
    program.api.user.user = user
    program.api.user.save()
    client.force_login(user)
    url = reverse("connection_action", args=[program.instance.pk, "replace-token"])
    assert client.post(url, {"overlap": "0"}).status_code == 403
    assert status(program, program.token) == 200
