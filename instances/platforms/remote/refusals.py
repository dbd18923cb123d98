"""Translate a remote platform's error responses (contract 3) into errors."""

import re
from typing import NoReturn

from pydantic import ValidationError

from instances.errors import (
    AccessForbiddenError,
    ClientRefusedError,
    CredentialsRefusedError,
    GoneError,
    GrantRejectedError,
    InstancesError,
    MissingCodeError,
    MissingConfigurationError,
    PlatformError,
    RefusedError,
    UnknownElementError,
)
from instances.platforms.transport import (
    Answer,
    Subject,
    error_of,
    json_of,
    raise_for_fault,
    unusable,
)
from instances.redaction import redact_values
from instances.wire import ErrorDocument

# An empty list is a 404 with such a message (contract 3.1).
_NOTHING_FOUND = re.compile(r"No (.*) found")
# Contract 7.5.
_MISSING = re.compile(r"Missing required configuration: (.+)")
_SECRETS_REJECTED = "%(provider)s rejected the organization's or the user's secret (HTTP %(status)d). Enter both again."
_FORBIDDEN = (
    "%(provider)s denied access (%(operation)s, HTTP %(status)d). Ask the account owner or the platform's operator "
    "for the missing permission."
)
_GONE = "%(provider)s has no such instance (HTTP %(status)d). Connect it again to recreate it."
_REJECTED = (
    "%(provider)s rejected the request (%(operation)s, HTTP %(status)d). Open the recorded exchange and correct what "
    "it complains about."
)
_CLIENT_REJECTED = "The provider rejected the OAuth client (%(operation)s, HTTP %(status)d): its ID or secret is wrong. Correct them."
_CODE_REJECTED = "The provider rejected the authorization code (%(operation)s, HTTP %(status)d). Authorize again."
_CREDENTIALS_REJECTED = "The provider rejected the credentials (%(operation)s, HTTP %(status)d). Enter valid credentials."


def is_nothing_found(answer: Answer) -> bool:
    """Whether the response stands for an empty list."""
    if answer.status_code != 404:
        return False
    return _NOTHING_FOUND.fullmatch(error_document(answer).message) is not None


def error_document(answer: Answer) -> ErrorDocument:
    """Return the response as an error document (contract 3).

    An empty one if it is something else.
    """
    try:
        return ErrorDocument.model_validate(json_of(answer))
    except ValidationError:
        return ErrorDocument()


def raise_for_refusal(
    answer: Answer, subject: Subject, *, element: str = "", has_code: bool = False
) -> None:
    """Raise the error for a status other than 2xx (contract 3).

    element: the key that a 404 is about; if empty, it is about the instance. has_code: an authorization code was sent.
    """
    if 200 <= answer.status_code < 300:
        # A proxy's sign-in page must not count as a successful deletion.
        is_html = answer.headers.get("Content-Type", "").startswith("text/html")
        if is_html and answer.content:
            raise unusable(answer, subject)
        return
    try:
        _raise_for_status(answer, subject, element=element, has_code=has_code)
    except InstancesError as error:
        _attach_messages(error, answer, subject)
        raise


def _attach_messages(error: InstancesError, answer: Answer, subject: Subject) -> None:
    """Set the platform's and the provider's messages, without known secrets."""
    document = error_document(answer)
    error.platform_message = redact_values(document.message, subject.secrets)
    if isinstance(error, PlatformError) and document.message:
        error.provider_message = redact_values(document.provider_message or "", subject.secrets)


def _raise_for_status(answer: Answer, subject: Subject, *, element: str, has_code: bool) -> None:
    raise_for_fault(answer, subject)
    message = error_document(answer).message
    if not message:
        raise unusable(answer, subject)
    match answer.status_code:
        case 400:
            _raise_for_bad_request(answer, subject, message, has_code=has_code)
        case 401:
            raise error_of(ClientRefusedError, _SECRETS_REJECTED, answer, subject)
        case 403:
            raise error_of(AccessForbiddenError, _FORBIDDEN, answer, subject)
        case 404 if element:
            raise UnknownElementError(
                f"{subject.label}: {subject.provider} has no element “{element}”."
            )
        case 404:
            raise error_of(GoneError, _GONE, answer, subject)
    raise error_of(RefusedError, _REJECTED, answer, subject)


def _raise_for_bad_request(
    answer: Answer, subject: Subject, message: str, *, has_code: bool
) -> NoReturn:
    if missing := _MISSING.fullmatch(message):
        raise MissingConfigurationError([key.strip() for key in missing[1].split(",")])
    if message.startswith(str(MissingCodeError())):
        raise MissingCodeError
    provider_message = error_document(answer).provider_message
    if provider_message is None:
        raise error_of(RefusedError, _REJECTED, answer, subject)
    if "invalid_client" in provider_message or "unauthorized_client" in provider_message:
        raise error_of(ClientRefusedError, _CLIENT_REJECTED, answer, subject)
    if has_code:
        raise error_of(GrantRejectedError, _CODE_REJECTED, answer, subject)
    raise error_of(CredentialsRefusedError, _CREDENTIALS_REJECTED, answer, subject)
