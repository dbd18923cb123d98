"""What a provider reports at the callback is explained where the catalogue knows its number."""

import pytest

from instances.errors import ProviderReportedError
from instances.provisioning.oauth.answers import require_code
from tests.support.factories import make_instance

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("described", "advice"),
    [
        ("AADSTS90094: Admin consent is required.", "An administrator of the account must consent"),
        ("AADSTS50105: Not assigned to a role.", "under Enterprise applications."),
        ("AADSTS50194: Not multi-tenant.", "choose the variant of one tenant too."),
        ("AADSTS4711: Something else.", "Correct it at the provider or in the OAuth app"),
    ],
)
def test_the_advice_is_that_of_the_reported_number(dynamics, described, advice):
    instance = make_instance(
        element=dynamics, configuration={}, authentication_type="oauth2", is_incomplete=True
    )
    answer = {"error": "invalid_request", "error_description": described, "state": "s"}
    with pytest.raises(ProviderReportedError) as raised:
        require_code(instance, instance.authentication, answer)
    assert advice in str(raised.value)
    assert "hen authorize again." in str(raised.value)
