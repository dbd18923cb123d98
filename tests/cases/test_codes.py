"""Creates that are sent again with the same authorization code."""

import pytest

from instances.models import IdempotencyKey, Instance
from tests.cases.conftest import CLIENT

CASE = "16b-nul-in-header"  # accepts any code

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def post(connect, stub):
    """Send the create of a code; the stub accepts any."""

    def post(*, key="", **changes):
        body = {
            "element": {"key": "stub-code"},
            "name": "Acme",
            "configuration": CLIENT | {"stub.case": CASE},
            "providerData": {"code": "the-code"},
        }
        headers = {"Idempotency-Key": key} if key else {}
        return connect.api.post("instances", body | changes, **headers)

    return post


@pytest.mark.parametrize("keys", [("", ""), ("one", "two"), ("", "two"), ("one", "")])
def test_a_code_that_made_an_instance_answers_with_it_again(post, stub, keys):
    answers = [post(key=key) for key in keys]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert len(stub.requests_to("token", "authorization_code")) == 1
    assert Instance.objects.count() == 1
    again = [post(key=key).json() for key in keys]
    assert again == [answer.json() for answer in answers]


@pytest.mark.parametrize("changes", [{"name": "Other"}, {"providerData": {"code": "another"}}])
def test_another_body_or_code_goes_to_the_provider(post, stub, changes):
    first, second = post(), post(**changes)
    assert first.json()["id"] != second.json()["id"]
    assert len(stub.requests_to("token", "authorization_code")) == 2


def test_a_code_of_another_user_goes_to_the_provider(connect, post, stub):
    first = post()
    connect.sign_in("Other", "bob@example.com")
    assert post().json()["id"] != first.json()["id"]


def test_a_code_whose_instance_was_deleted_goes_to_the_provider(connect, post, stub):
    connect.api.delete(f"instances/{post().json()['id']}")
    assert post().status_code == 200
    assert len(stub.requests_to("token", "authorization_code")) == 2


def test_a_refused_code_is_not_remembered(connect, post):
    refused = post(configuration={"stub.case": CASE})
    assert refused.status_code == 400
    assert not IdempotencyKey.objects.exists()


def test_a_code_is_not_stored_in_plain_text(post):
    post()
    assert "the-code" not in str(IdempotencyKey.objects.values())
