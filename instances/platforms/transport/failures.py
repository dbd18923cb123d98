"""Say what happened to an exchange that failed, and whether the request may have been carried out."""

from urllib.parse import urlsplit

import urllib3

from instances.errors import AnswerLostError, AnswerTimeoutError, PlatformError, UnreachableError
from instances.platforms.transport.connections import thread_connection
from instances.platforms.transport.subjects import Subject
from instances.platforms.transport.tls import tls_reason
from instances.redaction import redact_text

MAY_BE_DONE = "The request may have been carried out anyway."
_TIMED_OUT = f"%(host)s did not answer within %(seconds)g seconds (%(operation)s). {MAY_BE_DONE}"
_CUT_OFF = (
    f"%(host)s closed the connection or sent an unreadable response (%(operation)s). {MAY_BE_DONE}"
)
_CONNECT_TIMED_OUT = (
    "%(host)s accepted the connection but did not continue in time, so nothing was sent (%(operation)s). "
    "Try again later."
)
_TLS_FAILED = (
    "No trusted TLS connection to %(host)s could be made, so nothing was sent (%(operation)s)."
)
_CLOSED_EARLY = "%(host)s closed the connection before the request, so nothing was sent (%(operation)s). Check the address."
_INVALID_ADDRESS = (
    "“%(host)s” is not a valid host, so nothing was sent (%(operation)s). Correct the address."
)


def explained(caught: Exception, url: str, subject: Subject, *, seconds: float) -> PlatformError:
    """Return the error to raise for an exchange that failed.

    Its message names the host, never the URL or the body. seconds: the time limit.
    """
    kind, sentence = _kind_and_sentence(caught)
    if not isinstance(caught, PlatformError):
        sentence %= {
            "host": urlsplit(url).netloc.rpartition("@")[2],
            "operation": subject.operation,
            "seconds": seconds,
        }
    return kind(redact_text(f"{subject.label}: {sentence}", subject.secrets))


def _kind_and_sentence(cause: Exception) -> tuple[type[PlatformError], str]:
    """Return the error's class and sentence.

    The sentence has placeholders unless the cause is a PlatformError.
    """
    is_timeout = isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError)
    if isinstance(cause, PlatformError):
        return type(cause), str(cause)
    if thread_connection.request_started:
        return (AnswerTimeoutError, _TIMED_OUT) if is_timeout else (AnswerLostError, _CUT_OFF)
    if is_timeout:
        return UnreachableError, _CONNECT_TIMED_OUT
    if isinstance(cause, urllib3.exceptions.SSLError):
        return UnreachableError, f"{_TLS_FAILED} {tls_reason(cause)}"
    if isinstance(cause, urllib3.exceptions.ProtocolError):
        return UnreachableError, _CLOSED_EARLY
    return UnreachableError, _INVALID_ADDRESS
