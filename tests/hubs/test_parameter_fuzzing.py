"""Whatever a caller asks of a described provider: it arrives as the value of one parameter, or not at all."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.hubs.test_hub_fuzzing import BODIES, CALLS, QUERIES, SEGMENTS, TEXTS, check_status
from tests.hubs.test_rest_elements import pipedrive  # noqa: F401  a fixture

KNOWN = {
    "cursor", "limit", "ids", "updated_since", "updated_until", "owner_id", "org_id", "deal_id", "person_id", "done",
    "pipeline_id", "stage_id", "status",
}  # fmt: skip
PATHS = tuple(
    f"/api/v2/{name}" for name in ("persons", "organizations", "deals", "activities", "stages")
)
# Of the only filter whose values are any text.
STATUSES = TEXTS.map(lambda text: {"where": "status = '{}'".format(text.replace("'", "''"))})


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(CALLS[0], SEGMENTS | st.just(["opportunities"]), QUERIES | STATUSES, BODIES)
def test_no_text_of_five_thousand_callers_becomes_another_parameter(
    pipedrive,  # noqa: F811
    method,
    segments,
    query,
    body,
):
    pipedrive.stub.targets.clear()
    check_status(pipedrive, method, segments, query, body)
    for target in pipedrive.stub.targets:
        parts = urlsplit(target.partition(" ")[2])
        assert parts.path.startswith(PATHS), target
        assert not parts.fragment
        assert ".." not in parts.path.split("/")
        given_names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
        assert set(given_names) <= KNOWN, target
        assert len(set(given_names)) == len(given_names), target
