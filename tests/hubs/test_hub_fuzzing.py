"""Whatever a caller sends: no text of it reaches another path, host or filter of the provider."""

import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from instances.api.middleware import API_PREFIX

FEW, MANY = 25, 5000
BASE = "/services/data/v60.0"
ALLOWED = re.compile(
    rf"(?:GET {BASE}/sobjects"
    rf"|GET {BASE}/sobjects/[A-Za-z0-9_]+/describe"
    rf"|POST {BASE}/sobjects/Contact"
    rf"|(?:GET|PATCH|DELETE) {BASE}/sobjects/[A-Za-z0-9_]+/(?:[A-Za-z0-9._~-]|%[0-9A-F]{{2}})+(?:\?fields=[A-Za-z0-9_,]+)?"
    rf"|GET {BASE}/query\?q=(?:[A-Za-z0-9._~-]|%[0-9A-F]{{2}})+)"
)
# What is special in URLs, OData, SOQL, CEQL and headers, and what looks like a way out.
PARTS = st.sampled_from([
    "contacts", "Contact", "Task", "tasks", "objects", "metadata", "..", "../..", "%2e%2e", "%252e", "/", "//", "\\", "?", "#",
    "&", ";", "@", ":", "=", "'", '"', "`", "''", "\\'", " or ", " AND ", "(", ")", "%", "_", "%27", "\r\n", "\t", " ", "Id",
    "LastName", "Score__c", "IN", "LIKE", "IS NULL", "https://evil.example/", "{id}", "{path}", "$filter", "1", "é", "日", "..;",
    "003000000000000000", "describe", "query?q=SELECT Id FROM User", "\ud800",
])  # fmt: skip
TEXTS = st.lists(PARTS | st.text(max_size=6), max_size=5).map("".join)
SEGMENTS = st.lists(
    st.sampled_from(["contacts", "Task", "tasks", "003000000000000001"]) | TEXTS.filter(bool),
    min_size=1,
    max_size=4,
)
CONDITIONS = st.sampled_from([
    "LastName = '{}'", "LastName LIKE '%{}%'", "{} = 1", "Id IN ('{}')", "Score__c > {}", "LastName = \"{}\"", "{}",
])  # fmt: skip
WHERES = st.builds(lambda form, text: form.replace("{}", text), CONDITIONS, TEXTS)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "where": WHERES,
        "fields": TEXTS,
        "orderBy": TEXTS,
        "nextPage": TEXTS,
        "page": TEXTS,
        "pageSize": TEXTS,
    },
)
BODIES = st.dictionaries(
    st.sampled_from(["LastName", "AccountId"]) | TEXTS,
    TEXTS | st.integers() | st.none(),
    max_size=3,
)


def check_status(client, method, segments, query, body):
    """Call, and see that the answer is one of the contract's."""
    path = "/".join(quote(part, safe="", errors="replace") for part in segments)
    encoded = "&".join(
        f"{name}={quote(text, safe='', errors='replace')}" for name, text in query.items()
    )
    response = client.call(method, f"{API_PREFIX}/hubs/crm/{path}?{encoded}", body)
    assert response.status_code in {200, 400, 404, 405, 409, 415}, response.content


def check(salesforce, method, segments, query, body):
    stub = salesforce.stub
    stub.targets.clear()
    stub.refused.clear()
    check_status(salesforce, method, segments, query, body)
    for target in stub.targets:
        assert ALLOWED.fullmatch(target), target
    # Each query that was sent is one that Salesforce understands, with the caller's text inside of its values.
    assert [refusal for refusal in stub.refused if "SELECT" in unquote(refusal)] == []


CALLS = (
    st.sampled_from(["GET", "GET", "GET", "POST", "PATCH", "DELETE"]),
    SEGMENTS,
    QUERIES,
    BODIES,
)


@settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
@given(*CALLS)
def test_no_text_of_a_caller_gets_out_of_its_place(salesforce, method, segments, query, body):
    check(salesforce, method, segments, query, body)


@pytest.mark.slow
@settings(max_examples=MANY, suppress_health_check=list(HealthCheck))
@given(*CALLS)
def test_no_text_of_five_thousand_callers_gets_out_of_its_place(
    salesforce, method, segments, query, body
):
    check(salesforce, method, segments, query, body)
