"""schemathesis on our OpenAPI document: whatever is sent, the response is one that the document describes."""

from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings as hypothesis_settings, strategies as st
from schemathesis import GenerationMode
from schemathesis.config import (
    AnalysisConfig,
    ConstantsConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from instances.api.authentication import issue_bearer
from instances.models import Element, OrganizationUser
from tests.api.conftest import KEYED_BODY, ApiClient
from tests.support.factories import make_element, make_interaction, make_user

CASES = 5_000
# The document describes no 500, and a 502 only if a provider is called.
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# The element of the document's examples, without a probe, and with a provider that the guard blocks.
UNREACHABLE_DEFINITION: dict[str, Any] = {
    "key": "dynamicscrmadfs",
    "id": 190,
    "name": "Microsoft Dynamics CRM",
    "hub": "crm",
    "description": "As the shipped one, but nothing leaves this computer.",
    "events": ["polling"],
    "authentication": [
        {
            "type": "custom",
            "fields": [
                {"key": "user.username", "label": "User", "type": "string", "required": True},
                {
                    "key": "user.password",
                    "label": "Password",
                    "type": "password",
                    "required": True,
                    "secret": True,
                },
            ],
        },
        {
            "type": "oauth2",
            "grant_type": "authorization_code",
            "authorization_endpoint": "https://127.0.0.1/authorize",
            "token_endpoint": "https://127.0.0.1/token",
        },
    ],
}
COMPLETE_CONFIGURATION = KEYED_BODY["configuration"] | {"user.username": "u", "user.password": "p"}


def _schema() -> Any:
    # If values came from the source code, every change of a line would change the cases.
    analysis = AnalysisConfig(constants=ConstantsConfig(enabled=False))
    projects = ProjectsConfig(default=ProjectConfig(analysis=analysis))
    return schemathesis.openapi.from_wsgi(
        "/elements/api-v2/openapi.json",
        get_wsgi_application(),
        config=SchemathesisConfig(projects=projects),
    )


OPERATIONS = [found.ok() for found in _schema().get_all_operations()]
# A few more than required, since in a small space of inputs some are equal.
EXAMPLES = CASES // len(OPERATIONS) + 10


class World:
    """What the database contains, so that a case can refer to it."""

    elements = ("keyed", UNREACHABLE_DEFINITION["key"])

    def __init__(self, api: ApiClient) -> None:
        make_element(UNREACHABLE_DEFINITION, source=Element.Source.SHIPPED)
        created = api.post("instances", KEYED_BODY).json()
        api.post("instances", KEYED_BODY | {"name": "Other"})
        make_interaction(instance_id=created["id"])
        entry = api.get(f"instances/{created['id']}/configuration").json()[0]
        self.path_parameters = {
            "instance_id": created["id"],
            "entry_id": entry["id"],
            "account_id": api.user.organization_id,
            "email_or_id": api.user.email,
            "kind": "apiKey",
            "key": "crm",
        }
        account = make_user(is_superuser=True)
        OrganizationUser.objects.filter(pk=api.user.pk).update(user=account)
        user, organization = api.header.split(", ")
        element = f"Element {created['token']}"
        # Enough calls for all cases but one.
        self.header = f"{user}, {organization}, {element}"
        self.other_headers = [
            f"{organization},{user}",
            f"{user}, {element}",
            f"Bearer {issue_bearer(api.user, account)}",
        ]

    def put_into(self, case: Any, element: str) -> None:
        """Let the case refer to existing rows, and complete it if it creates. Copies its parts, which are shared."""
        known = self.path_parameters | {"key_or_id": element}
        given = case.path_parameters or {}
        case.path_parameters = {name: known.get(name, value) for name, value in given.items()}
        if isinstance(case.query, dict) and case.path.endswith("/oauth/url"):
            client = {"apiKey": "client", "callbackUrl": "https://app.example/auth"}
            case.query = case.query | client
        if isinstance(case.body, dict) and case.path.endswith("/instances"):
            own = case.body.get("configuration")
            complete = COMPLETE_CONFIGURATION | (own if isinstance(own, dict) else {})
            case.body = case.body | {"element": {"key": element}, "configuration": complete}


@pytest.fixture
def world(api, settings):
    settings.API_CALLS_PER_MINUTE = 0
    made = World(api)
    # Like Django's test client: the test's transaction must outlive a request.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield made
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_one_that_the_document_tells_of(operation, world):
    texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
    headers = [
        st.just(world.header),
        st.sampled_from(world.other_headers),
        texts.map(str.strip),
    ]
    count = 0

    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]),
        header=st.one_of(headers),
        element=st.sampled_from([*world.elements, None]),
    )
    def send(case, header, element):
        nonlocal count
        count += 1
        if element:
            world.put_into(case, element)
        # Each case starts with the same rows.
        with transaction.atomic():
            response = case.call(headers={"Authorization": header})
            transaction.set_rollback(True)
        case.validate_response(response, checks=CHECKS)

    send()
    assert count >= CASES // len(OPERATIONS)
