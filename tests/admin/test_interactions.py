"""Interactions and authorizations are read-only."""

import pytest
from django.utils import timezone

from instances.models import Authorization, Interaction
from tests.support.factories import make_instance, make_interaction, make_organization, make_user

PATH = "/admin/instances/interaction/"


def test_the_list_shows_request_status_and_error(operator):
    make_interaction(status=None, error="No connection was made.", url="https://far.example/t?x=1")
    page = operator.get(PATH).text
    for text in ("POST far.example/t", "no response", "No connection was made."):
        assert text in page
    assert "x=1" not in page


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        ({"outcome": "failed"}, {"refused", "lost"}),
        ({"outcome": "succeeded"}, {"good"}),
        ({"direction__exact": "in"}, set()),
    ],
)
def test_the_list_is_filtered(operator, query, steps):
    make_interaction(operation="good")
    make_interaction(operation="refused", status=401)
    make_interaction(operation="lost", status=None, error="The answer was lost.")
    page = operator.get(PATH, query)
    assert {one.operation for one in page.context["cl"].result_list} == steps


def test_one_exchange_is_shown_readably(operator):
    instance = make_instance()
    interaction = make_interaction(instance=instance, response_body='{"a": [1, 2]}')
    page = operator.get(f"{PATH}{interaction.pk}/change/").text
    assert "&quot;a&quot;: [\n    1," in page
    assert f"/admin/instances/instance/{instance.pk}/change/" in page


def test_a_body_is_text_and_never_markup(operator):
    interaction = make_interaction(response_body="<script>alert(1)</script>")
    page = operator.get(f"{PATH}{interaction.pk}/change/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_nothing_can_be_added_changed_or_deleted(operator):
    interaction = make_interaction()
    assert operator.get(f"{PATH}add/").status_code == 403
    assert operator.post(f"{PATH}{interaction.pk}/delete/", {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": interaction.pk, "post": "yes"}
    operator.post(PATH, data)
    operator.post(f"{PATH}{interaction.pk}/change/", {"error": "forged"})
    assert Interaction.objects.get().error == ""


def test_one_exchange_needs_the_permission(sign_in):
    interaction = make_interaction(organization=make_organization())
    assert sign_in().get(f"{PATH}{interaction.pk}/change/").status_code == 403


def test_authorizations_are_listed_without_their_secrets(operator):
    authorization = Authorization(
        instance=make_instance(name="Acme"),
        started_by=make_user("grace"),
        state_digest="d" * 64,
        browser_digest="e" * 64,
        redirect_uri="http://localhost:8000/oauth/callback",
        expires_at=timezone.now(),
    )
    authorization.code_verifier = "the-verifier"
    authorization.save()
    page = operator.get("/admin/instances/authorization/").text
    for text in ("Acme", "grace", "pending"):
        assert text in page
    change = operator.get(f"/admin/instances/authorization/{authorization.pk}/change/").text
    for secret in ("d" * 64, "e" * 64, "the-verifier"):
        assert secret not in change
