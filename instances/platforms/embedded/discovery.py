"""Ask the provider what an account may use, for somebody to choose from."""

from collections.abc import Iterator
from dataclasses import replace

from instances.catalogue.hosts import may_be_chosen
from instances.catalogue.parts import Discovery
from instances.errors import AccessForbiddenError
from instances.platforms.base import PlatformRequest
from instances.platforms.embedded import oauth2
from instances.platforms.embedded.accounts import value_at
from instances.platforms.embedded.probe import raise_for_refusal
from instances.platforms.embedded.templates import address_of, headers_of
from instances.platforms.transport import Answer, error_of, exchange, json_of, subject_of
from instances.redaction import storable

# More than people choose from.
_MAX_CHOICES = 200
_MAX_LABEL_CHARACTERS = 200
_NOTHING_FOUND = (
    "%(provider)s accepted the authorization, but lists nothing that the account may use. Ask the account owner to "
    "sign in with another account, or enter what to connect."
)


def find_choices(request: PlatformRequest) -> list[tuple[str, str]]:
    """Implement Platform.find_choices(). The tokens are forgotten: those of what is chosen come with a code of its own.

    Raises AccessForbiddenError if the list is empty, and what oauth2.exchange_code() and a probe raise.
    """
    discovery = request.authentication.discovery
    if discovery is None:
        return []
    request = replace(request, tokens=oauth2.exchange_code(request))
    subject = subject_of(request, "List what the account may use")
    headers = headers_of(request, {"Authorization": "Bearer {access_token}"})
    headers["Accept"] = "application/json"
    answer = exchange(subject, "GET", address_of(request, discovery.url), headers=headers)
    raise_for_refusal(answer, subject, request)
    choices = list(dict(_choices(request, discovery, answer)).items())[:_MAX_CHOICES]
    if not choices:
        raise error_of(AccessForbiddenError, _NOTHING_FOUND, answer, subject)
    return choices


def _choices(
    request: PlatformRequest, discovery: Discovery, answer: Answer
) -> Iterator[tuple[str, str]]:
    items = value_at(json_of(answer), discovery.list_at)
    for item in items if isinstance(items, list) else []:
        value, label = (value_at(item, at) for at in (discovery.value_at, discovery.label_at))
        if not (
            isinstance(value, str) and may_be_chosen(request.authentication, discovery.key, value)
        ):
            continue
        text = label.strip() if isinstance(label, str) else ""
        yield storable(value), storable(text or value)[:_MAX_LABEL_CHARACTERS]
