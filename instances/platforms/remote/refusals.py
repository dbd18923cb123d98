"""What a remote platform's refusals mean (contract 3), in words for whoever can act."""

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

# Contract 3.1: an empty list is answered as a 404 with such a message.
_NOTHING_FOUND = re.compile(r"No (.*) found")
# Contract 7.5.
_MISSING = re.compile(r"Missing required configuration: (.+)")


def is_nothing_found(answer: Answer) -> bool:
    """Whether it is an empty list."""
    if answer.status_code != 404:
        return False
    return _NOTHING_FOUND.fullmatch(error_document(answer).message) is not None


def error_document(answer: Answer) -> ErrorDocument:
    """An error in the contract's form; an empty one where the answer is something else."""
    try:
        return ErrorDocument.model_validate(json_of(answer))
    except ValidationError:
        return ErrorDocument()


def raise_for_refusal(
    answer: Answer, subject: Subject, *, element: str = "", has_code: bool = False
) -> None:
    """Raises what a status other than 2xx means (contract 3), with the platform's own words.

    element: what a 404 means the platform lacks; else it is the instance. has_code: a code was sent along.
    """
    if 200 <= answer.status_code < 300:
        # A proxy's sign-in page must not pass for a deletion that was carried out.
        is_html = answer.headers.get("Content-Type", "").startswith("text/html")
        if is_html and answer.content:
            raise unusable(answer, subject)
        return
    try:
        _raise_for_status(answer, subject, element=element, has_code=has_code)
    except InstancesError as error:
        _keep_words(error, answer, subject)
        raise


def _keep_words(error: InstancesError, answer: Answer, subject: Subject) -> None:
    """What the platform said for itself, and what it passes on from the provider, without a secret of ours."""
    told = error_document(answer)
    error.platform_message = redact_values(told.message, subject.secrets)
    if isinstance(error, PlatformError) and told.message:
        error.provider_message = redact_values(told.provider_message or "", subject.secrets)


def _raise_for_status(answer: Answer, subject: Subject, *, element: str, has_code: bool) -> None:
    raise_for_fault(answer, subject)
    message = error_document(answer).message
    if not message:
        raise unusable(answer, subject)
    match answer.status_code:
        case 400:
            _raise_for_bad_request(answer, subject, message, has_code=has_code)
        case 401:
            why = "was refused (401): the organization's or the user's secret is wrong. Enter them anew."
            raise error_of(ClientRefusedError, why, answer, subject)
        case 403:
            why = "is forbidden (403). Ask the account's holder, or the platform, for the right to do it."
            raise error_of(AccessForbiddenError, why, answer, subject)
        case 404 if element:
            raise UnknownElementError(
                f"{subject.label}: the remote platform has no element {element}."
            )
        case 404:
            why = "found no such instance at the platform (404). Provision it anew."
            raise error_of(GoneError, why, answer, subject)
    why = (
        f"was refused ({answer.status_code}). Read the recorded exchange, and correct what it says."
    )
    raise error_of(RefusedError, why, answer, subject)


def _raise_for_bad_request(
    answer: Answer, subject: Subject, message: str, *, has_code: bool
) -> NoReturn:
    if missing := _MISSING.fullmatch(message):
        raise MissingConfigurationError([key.strip() for key in missing[1].split(",")])
    if message.startswith(str(MissingCodeError())):
        raise MissingCodeError
    told = error_document(answer).provider_message
    if told is None:
        why = "was refused (400). Read the recorded exchange, and correct what it says."
        raise error_of(RefusedError, why, answer, subject)
    if "invalid_client" in told or "unauthorized_client" in told:
        why = "was refused: the provider does not know the OAuth client, or its secret is wrong."
        raise error_of(ClientRefusedError, why, answer, subject)
    if has_code:
        why = "was refused: the provider did not take the authorization code. Authorize again."
        raise error_of(GrantRejectedError, why, answer, subject)
    why = "was refused: the provider did not take the credentials. Correct them."
    raise error_of(CredentialsRefusedError, why, answer, subject)
