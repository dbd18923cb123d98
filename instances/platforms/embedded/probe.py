"""Verify credentials with the element's probe."""

import re

from instances.catalogue.parts import ProbeScheme
from instances.errors import (
    AccessForbiddenError,
    CredentialsRefusedError,
    GrantRejectedError,
    RefusedError,
)
from instances.platforms.base import PlatformRequest
from instances.platforms.embedded import aws
from instances.platforms.embedded.accounts import account_in, value_at
from instances.platforms.embedded.calling import authorization
from instances.platforms.embedded.oauth1 import request_signed
from instances.platforms.embedded.templates import address_of, headers_of
from instances.platforms.transport import (
    Answer,
    Subject,
    error_of,
    exchange,
    is_page,
    json_of,
    raise_for_fault,
    sign_in_page,
    subject_of,
)

_CREDENTIALS_REJECTED = (
    "%(provider)s rejected the credentials (HTTP %(status)d). Enter valid credentials."
)
_SIGNATURE_REJECTED = (
    "%(provider)s rejected the keys or their signature (HTTP %(status)d). Enter valid keys. If they are valid, check "
    "the region."
)
# What AWS says of the time in a signature ("Troubleshoot Signature Version 4" in the IAM User Guide, 2026-11).
_OTHER_TIME = re.compile(
    rb"RequestTimeTooSkewed|RequestExpired|Signature (expired|not yet current)"
)
_TIME_REJECTED = "%(provider)s rejected the time of the request (HTTP %(status)d). Correct the clock of this server."
_ACCESS_ENDED = "%(provider)s rejected the access token (HTTP %(status)d): it expired or was revoked. Authorize again."
_PERMISSIONS_MISSING = "%(provider)s accepted the credentials, but the account lacks permissions (HTTP %(status)d). %(advice)s"
_GRANT_PERMISSIONS = "Ask the account owner to grant them."
_REJECTED = (
    "%(provider)s rejected the request that verifies the credentials (HTTP %(status)d). Check the address and the "
    "other settings of the instance."
)


def prove(request: PlatformRequest) -> dict[str, str]:
    """Send the probe, if the element has one. Returns what identifies the account in its response.

    Raises CredentialsRefusedError, or GrantRejectedError for tokens of a browser (401), AccessForbiddenError (403),
    SignInPageError (a page instead of data), RefusedError (any other 4xx), PlatformError, InputError.
    """
    probe = request.authentication.probe
    if probe is None:
        return {}
    headers = headers_of(request, probe.headers) | authorization(request, probe)
    url, secrets = address_of(request, probe.url), set[str]()
    if probe.scheme == ProbeScheme.AWS_SIGV4:
        headers |= aws.signed_headers(request, probe, probe.method, url, headers=headers)
        secrets.add(aws.signature_in(headers))
    subject = subject_of(request, "Verify credentials", secrets=secrets)
    if probe.scheme == ProbeScheme.OAUTH1:
        answer = request_signed(request, subject, probe.method, url, headers)
    else:
        answer = exchange(subject, probe.method, url, headers=headers)
    raise_for_refusal(answer, subject, request, success_field=probe.success_field)
    return account_in(json_of(answer), request.authentication.account_fields)


def raise_for_refusal(
    answer: Answer, subject: Subject, request: PlatformRequest, *, success_field: str = ""
) -> None:
    """Raise the error that a response to credentials means, as prove() says.

    success_field: the path of a field that is true in the response to valid credentials.
    """
    if answer.ok and success_field and value_at(json_of(answer), success_field) is not True:
        raise_for_fault(answer, subject, request.authentication.error_codes, is_refused=True)
        raise _rejected(answer, subject, request)
    if answer.ok:
        # Such a page has the status 200, also for credentials that are not valid any more.
        if is_page(answer):
            raise sign_in_page(answer, subject)
        return
    raise_for_fault(answer, subject, request.authentication.error_codes)
    probe = request.authentication.probe
    is_signed = probe is not None and probe.scheme == ProbeScheme.AWS_SIGV4
    match answer.status_code:
        case 401:
            raise _rejected(answer, subject, request)
        case 403 if is_signed and _OTHER_TIME.search(answer.content):
            # It says nothing about the keys.
            raise error_of(RefusedError, _TIME_REJECTED, answer, subject)
        case 403 if is_signed and b"AccessDenied" not in answer.content:
            # AWS refuses keys and signatures so, and not with 401.
            raise error_of(CredentialsRefusedError, _SIGNATURE_REJECTED, answer, subject)
        case 403:
            facts = {"advice": (probe and probe.forbidden) or _GRANT_PERMISSIONS}
            raise error_of(AccessForbiddenError, _PERMISSIONS_MISSING, answer, subject, facts=facts)
    raise error_of(RefusedError, _REJECTED, answer, subject)


def _rejected(answer: Answer, subject: Subject, request: PlatformRequest) -> RefusedError:
    """Return the error of credentials that are not valid, or not any more."""
    if request.authentication.needs_browser:
        return error_of(GrantRejectedError, _ACCESS_ENDED, answer, subject)
    return error_of(CredentialsRefusedError, _CREDENTIALS_REJECTED, answer, subject)
