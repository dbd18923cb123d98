"""A refused access token is refreshed once; what may be repeated is repeated; limits hold."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from instances.models import Interaction
from tests.hubs.conftest import make_oauth_program
from tests.support.provider_api import Reply


@pytest.fixture
def waits(monkeypatch):
    """The seconds that calls wait before they are repeated; nobody really waits."""
    seconds: list[float] = []
    monkeypatch.setattr("instances.hubs.calls.time.sleep", seconds.append)
    return seconds


def test_a_401_is_repeated_with_new_tokens(program, provider_api):
    provider_api.access_tokens = {"another"}
    response = program.call("POST", "things", b"body")
    assert (response.status_code, response.body) == (200, b'{"ok": true}')
    assert provider_api.refreshes == 1
    assert [one.body for one in provider_api.received] == [b"body", b"body"]
    assert provider_api.last.header("Authorization") == "Bearer access-token-1"
    assert program.get("things").status_code == 200
    assert provider_api.refreshes == 1


def test_a_401_that_stays_is_relayed_and_a_check_is_due(program, provider_api):
    provider_api.replies["secret"] = lambda _: Reply(401, b"no", {"WWW-Authenticate": "Bearer"})
    response = program.get("secret")
    assert (response.status_code, response["Elements-Provider-Status"]) == (401, "401")
    assert (response.body, response["WWW-Authenticate"]) == (b"no", "Bearer")
    assert provider_api.refreshes == 1
    stored = program.stored()
    assert stored.state == "connected"
    assert stored.next_action_at <= timezone.now()
    # The same refusal again and again must not refresh the tokens again and again.
    assert program.get("secret").status_code == 401
    assert provider_api.refreshes == 1


def test_a_401_after_a_failed_refresh_is_the_providers_own(program, provider_api):
    provider_api.access_tokens = {"another"}
    provider_api.is_refresh_refused = True
    response = program.get("things")
    assert (response.status_code, response["Elements-Provider-Status"]) == (401, "401")
    assert response.body == b'{"message": "token expired"}'
    assert program.stored().next_action_at <= timezone.now()


def test_a_refused_key_is_relayed(key_program, provider_api):
    provider_api.replies["things"] = lambda _: Reply(401, b"no")
    assert key_program.get("things").body == b"no"
    assert len(provider_api.received) == 1


@pytest.mark.django_db(transaction=True)
def test_fifty_calls_that_meet_a_401_share_one_refresh(provider_api, settings):
    settings.DATA_CALLS_PER_INSTANCE = 50
    program = make_oauth_program(provider_api.url)
    everybody = threading.Barrier(50)
    provider_api.access_tokens = {"another"}
    provider_api.replies["things"] = lambda _: Reply()

    def call(number):
        everybody.wait(30)
        try:
            return program.get("things").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(call, range(50))) == {200}
    assert provider_api.refreshes == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_may_be_repeated_is_repeated(method, status, program, provider_api, waits):
    replies = iter([Reply(status), Reply(status), Reply(200)])
    provider_api.replies["things"] = lambda _: next(replies)
    response = program.call(method, "things", b"body", **{"Elements-Retries": "2"})
    assert response.status_code == 200
    assert [one.body for one in provider_api.received] == [b"body"] * 3
    assert 0.8 <= waits[0] <= 1.2
    assert 1.6 <= waits[1] <= 2.4


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_change_is_only_repeated_where_it_was_not_carried_out(
    method, program, provider_api, waits
):
    provider_api.replies["broken"] = lambda _: Reply(503)
    assert program.call(method, "broken", **{"Elements-Retries": "5"}).status_code == 503
    replies = iter([Reply(429, b"", {"Retry-After": "7"}), Reply(200)])
    provider_api.replies["busy"] = lambda _: next(replies)
    assert program.call(method, "busy", **{"Elements-Retries": "1"}).status_code == 200
    assert waits == [7]


def test_nothing_is_repeated_unless_it_is_asked_for(program, provider_api, waits):
    provider_api.replies["busy"] = lambda _: Reply(429, b"", {"Retry-After": "1"})
    response = program.get("busy")
    assert (response.status_code, response["Retry-After"], waits) == (429, "1", [])


def test_a_wait_that_is_too_long_is_left_to_the_caller(program, provider_api, waits):
    provider_api.replies["busy"] = lambda _: Reply(429, b"", {"Retry-After": "31"})
    response = program.get("busy", **{"Elements-Retries": "5"})
    assert (response.status_code, response["Retry-After"], waits) == (429, "31", [])
    assert len(provider_api.received) == 1


@pytest.mark.parametrize("value", ["6", "-1", "x", "1.5", "٣"])
def test_an_unknown_number_of_retries_is_400(value, program, provider_api):
    assert program.get("things", **{"Elements-Retries": value}).status_code == 400
    assert provider_api.received == []


def test_an_unreachable_provider_is_502(program, provider_api, waits):
    provider_api.__exit__()
    response = program.call("POST", "things", b"x", **{"Elements-Retries": "1"})
    assert response.status_code == 502
    assert "Elements-Provider-Status" not in response
    # Nothing was sent, so even a POST is tried again.
    assert len(waits) == 1
    record = Interaction.objects.filter(kind="data").first()
    assert (record.status, bool(record.error)) == (None, True)


def test_a_provider_that_does_not_answer_is_502(program, provider_api, settings):
    settings.DATA_CALL_TIMEOUT_SECONDS = 0.2
    provider_api.replies["slow"] = provider_api.wait_for_release
    response = program.get("slow")
    assert response.status_code == 502
    assert "did not answer" in response.json()["message"]


def test_a_body_that_is_cut_off_is_not_taken_for_whole(program, provider_api):
    provider_api.replies["cut"] = lambda _: Reply(200, iter([b"x" * 10]), length=100)
    with pytest.raises(Exception, match="closed the connection"):
        program.get("cut")
    record = Interaction.objects.get(kind="data")
    assert (record.status, record.response_bytes) == (200, 10)
    assert "closed the connection" in record.error


def test_an_instance_has_a_limit_of_calls(program, provider_api, settings):
    settings.DATA_CALLS_PER_INSTANCE = 0
    response = program.get("things")
    assert (response.status_code, response["Retry-After"]) == (429, "1")
    settings.DATA_CALLS_PER_INSTANCE = 1
    for _ in range(3):
        assert program.get("things").status_code == 200


def test_this_server_has_a_limit_of_calls(program, provider_api, settings):
    settings.DATA_CALLS_AT_ONCE = 0
    response = program.get("things")
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert "requestId" in response.json()


def test_a_failed_call_gives_its_place_back(program, provider_api, settings):
    settings.DATA_CALLS_PER_INSTANCE = settings.DATA_CALLS_AT_ONCE = 1
    settings.DATA_CALL_TIMEOUT_SECONDS = 0.1
    provider_api.replies["slow"] = provider_api.wait_for_release
    for _ in range(3):
        assert program.get("slow").status_code == 502
    settings.DATA_CALL_TIMEOUT_SECONDS = 10
    assert program.get("things").status_code == 200


def test_a_call_takes_one_statement_and_its_record(program, django_assert_num_queries):
    # The first call proves the credentials, which is stored.
    program.get("things")
    with django_assert_num_queries(2) as statements:
        assert program.get("things").status_code == 200
    assert "instances_interaction" in statements.captured_queries[1]["sql"]


def test_a_list_takes_one_statement_and_its_record(salesforce, django_assert_num_queries):
    # The first call also asks for the fields.
    salesforce.get("contacts")
    with django_assert_num_queries(2):
        assert salesforce.get("contacts").status_code == 200
