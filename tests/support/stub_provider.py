"""A provider that listens on the loopback and answers each case as its JSON file says."""

import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tests.support.loopback import LoopbackHandler, LoopbackServer

CASES = Path(__file__).parent.parent / "cases" / "providers"


@dataclass(frozen=True)
class Request:
    """One received request; grant_type: of a token request, otherwise empty."""

    case: str
    endpoint: str
    grant_type: str
    headers: dict[str, str]
    form: dict[str, str]
    query: dict[str, str] = field(default_factory=dict)


class StubProvider(LoopbackServer):
    """A server whose paths are /c/<case>/<endpoint>: authorize, token, api, revoke.

    A case's file holds the answers: "token" by grant type, "api" and so on by endpoint. The n-th answer of a list goes
    to the n-th call, and the last one repeats. An answer has a status, headers, and a body as json, text or latin1.
    "$n" in it is the number of the call, "$epoch" the present time and "$in_an_hour" the time an hour from now, in
    seconds since 1970.

    "authorize" says what the browser brings back: a "query" or "raw_query", "where" (query, fragment or post),
    "path_suffix", "append"; of a list, the n-th trip. "$state" is the state and "$characters(5)" five characters.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.requests: list[Request] = []
        self._calls: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def requests_to(self, endpoint: str, grant_type: str = "") -> list[Request]:
        asked = (endpoint, grant_type)
        return [one for one in self.requests if (one.endpoint, one.grant_type) == asked]

    def answer(self, request: Request) -> tuple[dict[str, Any], int]:
        """Return the answer to a request, and which call it was."""
        with self._lock:
            self.requests.append(request)
            key = request.grant_type or request.endpoint
            self._calls[request.case, key] += 1
            number = self._calls[request.case, key]
        case = _case(request.case)
        if request.endpoint == "authorize":
            trips = (
                case["authorize"] if isinstance(case["authorize"], list) else [case["authorize"]]
            )
            trip = trips[min(number, len(trips)) - 1]
            return _authorization_response(trip, request.query), number
        stated = case.get(request.endpoint, {})
        answers = stated.get(request.grant_type) if request.endpoint == "token" else stated
        answers = answers or {"json": {"ok": True}}
        answers = [answers] if isinstance(answers, dict) else answers
        return answers[min(number, len(answers)) - 1], number


def _case(name: str) -> dict[str, Any]:
    return dict(json.loads((CASES / f"{name}.json").read_text()))


def _authorization_response(stated: dict[str, Any], asked: dict[str, str]) -> dict[str, Any]:
    """Send the browser back to the redirect_uri, by a redirect or a form."""

    def filled(text: str) -> str:
        text = text.replace("$state", asked["state"])
        return re.sub(r"\$characters\((\d+)\)", lambda found: "c" * int(found[1]), text)

    stated_query = stated.get("query", {"code": "the-code", "state": "$state"})
    query = {name: filled(value) for name, value in stated_query.items()}
    back, where = asked["redirect_uri"] + stated.get("path_suffix", ""), stated.get("where")
    if where == "post":
        fields = "".join(f'<input name="{name}" value="{quote(query[name])}">' for name in query)
        return {"text": f'<form method="post" action="{back}">{fields}</form>'}
    written = filled(stated.get("raw_query", "")) or urlencode(query)
    mark = "#" if where == "fragment" else "?"
    location = f"{back}{mark}{written}{stated.get('append', '')}"
    return {"status": 302, "headers": [["Location", location]]}


class _Handler(LoopbackHandler):
    def _serve(self) -> None:
        body = self.read_body().decode()
        parts = urlsplit(self.path)
        _, _, case, endpoint, *_ = parts.path.split("/")
        query = dict(parse_qsl(parts.query))
        form = dict(parse_qsl(body, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        grant_type = form.get("grant_type", "") if endpoint == "token" else ""
        stub: StubProvider = self.server.owner
        request = Request(case, endpoint, grant_type, headers, form, query)
        answer, number = stub.answer(request)
        self._send(answer, number)

    do_GET = do_POST = _serve  # noqa: N815

    def _send(self, answer: dict[str, Any], number: int) -> None:
        now = int(time.time())
        values = {"$n": number, "$epoch": now, "$in_an_hour": now + 3600}

        def filled(text: str) -> str:
            for name, value in values.items():
                text = text.replace(name, str(value))
            return text

        text, content_type, charset = answer.get("text", ""), "text/plain", "utf-8"
        if "json" in answer:
            text, content_type = json.dumps(answer["json"]), "application/json"
        if "latin1" in answer:
            text, charset = answer["latin1"], "latin-1"
        body = filled(text).encode(charset)
        headers = {"Content-Type": content_type, **dict(answer.get("headers", []))}
        self.send_response(answer.get("status", 200))
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, filled(value))
        self.end_headers()
        self.wfile.write(body)
