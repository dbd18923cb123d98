"""Relay a call to the provider or the remote platform of an instance as it is (contract for hubs, 1 and 12.2)."""

import re
from collections.abc import Collection, Iterable, Mapping
from unicodedata import normalize
from urllib.parse import unquote

from instances.errors import InvalidCallError

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
# RFC 3986 3.3, percent-encoded: everything else would have to be encoded on the way, and not byte for byte.
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r'[!"$-~]*')
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\]")
# Dots and slashes in more bytes than they need, which only careless decoders accept (RFC 3629 10).
_OVERLONG = re.compile(r"%(?:c[01]%[89ab]|e0%[89]|f0%8)[0-9a-f]", re.IGNORECASE)
_SEPARATOR = re.compile(r"[/\\]")
# What some servers cut off before they resolve dots: parameters (RFC 3986 3.3), or query and fragment once decoded.
_NAME_END = re.compile("[;?#]")
_MAX_DECODINGS = 4
# RFC 9110 5.6.2 and 5.5. The web server answers 500 to anything else.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FOLD = re.compile(r"\r?\n[ \t]+")
_DIGITS = re.compile("[0-9]{1,18}")
# RFC 9110 7.6.1, and the former Keep-Alive and Proxy-Connection.
_HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
_NOT_SENT = _HOP_BY_HOP | {
    "authorization", "content-length", "cookie", "expect", "forwarded", "host",
}  # fmt: skip
_NOT_SENT_PREFIXES = ("elements-", "x-forwarded-")
# A provider's word about its own origin must not hold for ours; Date and Server are the web server's.
_NOT_RELAYED = _HOP_BY_HOP | {
    "alt-svc", "clear-site-data", "content-security-policy", "content-security-policy-report-only", "date", "nel",
    "public-key-pins", "report-to", "reporting-endpoints", "server", "service-worker-allowed", "set-cookie",
    "set-cookie2", "strict-transport-security", "x-content-type-options",
    # Reverse proxies obey these, and send a file or another address of theirs instead.
    "x-lighttpd-send-file", "x-lighttpd-send-tempfile", "x-litespeed-location", "x-reproxy-url", "x-sendfile",
    "x-sendfile2",
}  # fmt: skip
_NOT_RELAYED_PREFIXES = ("access-control-", "elements-", "x-accel-")
# What hub calls and their answers need; everything else that begins so is between a client and one server.
PLATFORM_REQUEST_HEADERS = frozenset({"elements-version", "elements-async-callback-url"})
PLATFORM_ANSWER_HEADERS = frozenset(
    {
        "elements-error",
        "elements-next-page-token",
        "elements-returned-count",
        "elements-total-count",
        "elements-trace-id",
    }
)


def checked_target(path: str, query: str) -> str:
    """Return path and query as ConnectedInstance.send() takes them, byte for byte.

    path: as the client sent it, percent-encoded, below the base URL.

    Raises InvalidCallError for a path that might leave the base URL, however a provider reads it.
    """
    if not (_PATH.fullmatch(path) and _QUERY.fullmatch(query)):
        raise InvalidCallError(
            "The path or the query contains a character that has to be percent-encoded."
        )
    if path.startswith("/") or "//" in path or _ABSOLUTE.match(path):
        raise InvalidCallError("The path must be relative to the API of the element, without //.")
    if not all(map(_is_plain, path.split("/"))):
        raise InvalidCallError(
            "The path must not contain dot segments, nor slashes, backslashes or control characters that are encoded."
        )
    return f"{path}?{query}" if query else path


def _is_plain(segment: str) -> bool:
    """Whether a segment stays one, and names no other directory, however often it is decoded.

    One that is encoded more than _MAX_DECODINGS times is not: each decoding takes time.
    """
    for _ in range(_MAX_DECODINGS):
        if _FORBIDDEN.search(segment) or _OVERLONG.search(segment) or _has_dots(segment):
            return False
        decoded = unquote(segment, errors="replace")
        if decoded == segment:
            return True
        segment = decoded
    return False


def _has_dots(segment: str) -> bool:
    """Whether a server may read a dot segment, also in full-width characters."""
    # One by one: to sort combining characters takes quadratic time, and no dot is made of several characters.
    normalized = "".join(normalize("NFKC", character) for character in segment)
    names = _SEPARATOR.split(normalized)
    return any(_NAME_END.split(name)[0].strip() in {".", ".."} for name in names)


def sent_headers(
    headers: Mapping[str, str], *, kept: Collection[str] = frozenset()
) -> dict[str, str]:
    """Return the headers of a call that the provider gets. kept: of those that begin with Elements-."""
    named = _named_by_connection(headers.get("Connection", ""))
    return {
        name: value
        for name, value in headers.items()
        if value
        and name.lower() not in _NOT_SENT | named
        and (name.lower() in kept or not name.lower().startswith(_NOT_SENT_PREFIXES))
    }


def relayed_headers(
    headers: Mapping[str, str], *, kept: Collection[str] = frozenset()
) -> Iterable[tuple[str, str]]:
    """Yield the headers of a response that the caller gets, without those that no server may send.

    kept: of those that begin with Elements-.
    """
    not_relayed = _NOT_RELAYED | _named_by_connection(headers.get("Connection", ""))
    if "Transfer-Encoding" in headers:
        # It says how long the body is, and the length may be wrong (RFC 9112 6.3).
        not_relayed |= {"content-length"}
    for name, value in headers.items():
        is_ours = name.lower() in not_relayed or name.lower().startswith(_NOT_RELAYED_PREFIXES)
        unfolded = _FOLD.sub(" ", value)
        if (not is_ours or name.lower() in kept) and _is_valid(name, unfolded):
            yield name, unfolded


def _is_valid(name: str, value: str) -> bool:
    is_length = name.lower() == "content-length"
    return bool(
        _TOKEN.fullmatch(name) and (_DIGITS if is_length else _FIELD_VALUE).fullmatch(value)
    )


def _named_by_connection(value: str) -> set[str]:
    return {name.strip().lower() for name in value.split(",")}
