"""Responses of providers that no web server may pass on as they are."""

import pytest

from instances.models import Interaction
from tests.support.provider_api import Reply


@pytest.mark.parametrize("status", [101, 600, 999])
def test_a_status_that_http_does_not_have_is_502_and_recorded(status, program, provider_api):
    raw = f"HTTP/1.1 {status} Denied\r\nContent-Length: 0\r\n\r\n".encode()
    provider_api.replies["odd"] = lambda _: Reply(raw=raw)
    # More often than an instance may have calls in progress.
    for _ in range(10):
        response = program.get("odd")
        assert response.status_code == 502
        assert str(status) in response.json()["message"]
        assert "Elements-Provider-Status" not in response
    assert Interaction.objects.filter(kind="data", status=status).exclude(error="").count() == 10
    assert program.get("things").status_code == 200


def test_informational_responses_are_skipped(program, provider_api):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    provider_api.replies["hinted"] = lambda _: Reply(raw=hints * 2 + final)
    for _ in range(2):
        response = program.get("hinted")
        assert (response.status_code, response.body, "Link" in response) == (200, b"ok", False)
    assert program.get("things").body == b'{"ok": true}'


def test_headers_that_no_server_may_send_are_left_out(program, provider_api):
    fields = ["X-A: a\x01b", "X(B: b", "X-C: c\r\n d", "X-D: \xe9", "Content-Length: +2"]
    head = "\r\n".join(["HTTP/1.1 200 OK", "Connection: close", *fields])
    raw = f"{head}\r\n\r\nok".encode("latin-1")
    provider_api.replies["odd"] = lambda _: Reply(raw=raw)
    response = program.get("odd")
    assert (response.status_code, response.body) == (200, b"ok")
    assert not {"X-A", "X(B", "Content-Length"} & set(response.headers)
    assert response["X-C"] == "c d"
    assert "X-D" in response


def test_a_length_beside_chunks_is_left_out(program, provider_api):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n"
    provider_api.replies["odd"] = lambda _: Reply(raw=head + b"2\r\nok\r\n0\r\n\r\n")
    response = program.get("odd")
    assert (response.body, "Content-Length" in response) == (b"ok", False)


@pytest.mark.parametrize(
    "name", ["X-Accel-Redirect", "x-accel-buffering", "X-Sendfile", "X-LIGHTTPD-send-file"]
)
def test_orders_to_reverse_proxies_are_left_out(name, program, provider_api):
    provider_api.replies["odd"] = lambda _: Reply(headers={name: "/protected/x"})
    assert name not in program.get("odd")
