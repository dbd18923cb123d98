"""Credentials proved by the element's probe: a harmless request that works if, and only if, they do."""

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


def prove(request: PlatformRequest) -> None:
    """Send the probe. A way of authentication without one is taken on trust.

    Raises CredentialsRefusedError (401), AccessForbiddenError (403), RefusedError (any other 4xx), PlatformError,
    InputError.
    """
    probe = request.authentication.probe
    if probe is None:
        return
    subject = subject_of(request, "prove the credentials")
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
            why = "was refused (401): the provider does not take the credentials. Enter the right ones."
            raise error_of(CredentialsRefusedError, why, answer, subject)
        case 403:
            why = "is forbidden (403): the credentials are right, but this user lacks the rights it needs."
            raise error_of(AccessForbiddenError, why, answer, subject)
    why = f"was refused ({answer.status_code}). Check the address and the other settings of the instance."
    raise error_of(RefusedError, why, answer, subject)
