"""Verify credentials with the element's probe."""

import base64

from instances.catalogue.definition import ACCESS_TOKEN, Probe, ProbeScheme
from instances.catalogue.templates import fill_text
from instances.errors import AccessForbiddenError, CredentialsRefusedError, RefusedError
from instances.platforms.base import PlatformRequest
from instances.platforms.embedded.oauth1 import request_signed
from instances.platforms.embedded.templates import address_of, headers_of, values_of
from instances.platforms.transport import (
    Answer,
    Subject,
    error_of,
    raise_for_fault,
    session_for,
    subject_of,
)

_CREDENTIALS_REJECTED = (
    "%(provider)s rejected the credentials (HTTP %(status)d). Enter valid credentials."
)
_PERMISSIONS_MISSING = (
    "%(provider)s accepted the credentials, but the account lacks permissions (HTTP %(status)d). Ask the account "
    "owner to grant them."
)
_REJECTED = (
    "%(provider)s rejected the request that verifies the credentials (HTTP %(status)d). Check the address and the "
    "other settings of the instance."
)


def prove(request: PlatformRequest) -> None:
    """Send the probe. Without one, the credentials are accepted unverified.

    Raises CredentialsRefusedError (401), AccessForbiddenError (403), RefusedError (any other 4xx), PlatformError,
    InputError.
    """
    probe = request.authentication.probe
    if probe is None:
        return
    subject = subject_of(request, "Verify credentials")
    headers = headers_of(request, probe.headers) | _authorization(request, probe)
    url = address_of(request, probe.url)
    if probe.scheme == ProbeScheme.OAUTH1:
        answer = request_signed(request, subject, probe.method, url, headers)
    else:
        answer = session_for(subject).request(probe.method, url, headers=headers)
    _raise_for_refusal(answer, subject)


def _authorization(request: PlatformRequest, probe: Probe) -> dict[str, str]:
    if probe.scheme == ProbeScheme.BEARER:
        return headers_of(request, {"Authorization": f"Bearer {{{ACCESS_TOKEN}}}"})
    if probe.scheme == ProbeScheme.BASIC:
        values = values_of(request)
        pair = f"{fill_text(probe.username, values)}:{fill_text(probe.password, values)}"
        # UTF-8, as RFC 7617 2.1 recommends.
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _raise_for_refusal(answer: Answer, subject: Subject) -> None:
    if answer.ok:
        return
    raise_for_fault(answer, subject)
    match answer.status_code:
        case 401:
            raise error_of(CredentialsRefusedError, _CREDENTIALS_REJECTED, answer, subject)
        case 403:
            raise error_of(AccessForbiddenError, _PERMISSIONS_MISSING, answer, subject)
    raise error_of(RefusedError, _REJECTED, answer, subject)
