"""Say why no TLS connection could be made."""

import ssl

import urllib3

_NO_TLS = "The server does not speak TLS on this port. Correct the address."
_TOO_OLD = (
    "The server only speaks a TLS version that is too old. Ask its operator to enable TLS 1.2."
)
_OTHER_NAME = "The certificate is for another host. Correct the address."
_NOT_TRUSTED = (
    "The certificate is not signed by a trusted authority. Check the address, or list the authority in "
    "PROVIDER_CA_BUNDLE."
)
_UNKNOWN = "Check the address and the certificate."
# OpenSSL's codes of X509_verify_cert_error_string(3).
_OF_CERTIFICATE = {
    9: "The certificate is not valid yet. Check this machine's clock, or ask the server's operator.",
    10: "The certificate has expired. Ask the server's operator to renew it.",
    18: _NOT_TRUSTED,
    19: _NOT_TRUSTED,
    20: _NOT_TRUSTED,
    21: _NOT_TRUSTED,
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
# OpenSSL's reasons of a handshake that failed.
_OF_HANDSHAKE = {
    "HTTP_REQUEST": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "NO_PROTOCOLS_AVAILABLE": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "WRONG_SSL_VERSION": _TOO_OLD,
}


def tls_reason(error: urllib3.exceptions.SSLError) -> str:
    """Return one or two sentences: what is wrong, and what to do."""
    inner = error.args[0] if error.args else None
    if isinstance(inner, ssl.SSLCertVerificationError):
        return _OF_CERTIFICATE.get(inner.verify_code, _UNKNOWN)
    if isinstance(inner, ssl.SSLError):
        return _OF_HANDSHAKE.get(inner.reason or "", _UNKNOWN)
    return _UNKNOWN
