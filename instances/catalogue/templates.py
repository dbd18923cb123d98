"""URL templates: addresses of the catalogue with {configuration keys} in them.

They are filled so that no value can send a credential to another host, path or query than the template means.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from instances.errors import InvalidConfigurationError, MissingConfigurationError

VARIABLE = re.compile(r"\{([A-Za-z0-9._-]+)\}")
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LABELS = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOST_AND_PORT = re.compile(rf"({_LABEL}(?:\.{_LABEL})*)\.?(?::([0-9]{{1,5}}))?")
_END_OF_AUTHORITY = re.compile(r"[/?#]")
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 1035 2.3.4, without the trailing dot.
_MAX_HOST_CHARACTERS = 253
_MAX_PORT = 65535


def variables_in(template: str) -> list[str]:
    """Return the keys that a template needs, in order, without duplicates."""
    return list(dict.fromkeys(VARIABLE.findall(template)))


def authority_of(template: str) -> str:
    """Return the template up to the end of its host, also for fill_url()."""
    start = 0 if VARIABLE.match(template) else template.find("://") + len("://")
    found = _END_OF_AUTHORITY.search(template, start)
    return template[: found.start()] if found else template


def require_variables(templates: Iterable[str], values: Mapping[str, str]) -> None:
    """Raise MissingConfigurationError, which names every variable without a value."""
    names = dict.fromkeys(name for template in templates for name in variables_in(template))
    if missing := [name for name in names if not values.get(name, "").strip()]:
        raise MissingConfigurationError(missing)


def fill_url(template: str, values: Mapping[str, str]) -> str:
    """Fill a URL template.

    A value in the host part is a host label, a host name or host:port; if it is the whole host, a scheme before it
    and a path after it are removed. Values in path and query are percent-encoded (RFC 3986 2.1). A template that
    begins with a variable expects an absolute URL there.

    Raises MissingConfigurationError, InvalidConfigurationError; neither message contains a value.
    """
    require_variables([template], values)
    if opening := VARIABLE.match(template):
        base = _absolute_url(opening[1], values[opening[1]])
        return base + _fill_rest(template[opening.end() :], values)
    scheme, _, after_scheme = template.partition("://")
    authority = _END_OF_AUTHORITY.split(after_scheme, maxsplit=1)[0]
    rest = after_scheme[len(authority) :]
    return f"{scheme}://{_fill_authority(authority, values)}{_fill_rest(rest, values)}"


def fill_text(template: str, values: Mapping[str, str]) -> str:
    """Fill a template of a header, parameter or scope.

    A URL is filled like fill_url().

    Raises MissingConfigurationError, InvalidConfigurationError; neither message contains a value.
    """
    if _SCHEME.match(template):
        return fill_url(template, values)
    require_variables([template], values)
    return VARIABLE.sub(lambda found: _one_line(found[1], values[found[1]]), template)


def overridden(template: str, overrides: Mapping[str, str], *, public_url: str) -> str:
    """Replace the longest prefix of a template that overrides contains.

    A replacement that begins with / is relative to public_url.
    """
    matching = [prefix for prefix in overrides if template.startswith(prefix)]
    if not matching:
        return template
    prefix = max(matching, key=len)
    replacement = overrides[prefix]
    if replacement.startswith("/"):
        replacement = public_url.rstrip("/") + replacement
    return replacement + template[len(prefix) :]


def _absolute_url(key: str, value: str) -> str:
    url = value.strip()
    scheme = _SCHEME.match(url)
    if not scheme:
        raise InvalidConfigurationError(key, "must be a URL that begins with https:// or http://.")
    authority, slash, path = url[scheme.end() :].partition("/")
    path = (slash + path).rstrip("/")
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise InvalidConfigurationError(
            key, "must be a plain URL, without query, fragment, spaces or dot segments."
        )
    return f"{scheme[0].lower()}{_host_and_port(key, authority)}{path}"


def _fill_authority(authority: str, values: Mapping[str, str]) -> str:
    if whole := VARIABLE.fullmatch(authority):
        value = _SCHEME.sub("", values[whole[1]].strip(), count=1)
        return _host_and_port(whole[1], value.partition("/")[0])
    filled = VARIABLE.sub(lambda found: _labels(found[1], values[found[1]]), authority)
    if VARIABLE.search(authority) and not _HOST_AND_PORT.fullmatch(filled.lower()):
        raise InvalidConfigurationError(
            variables_in(authority)[0], "does not result in a valid host name."
        )
    return filled


def _labels(key: str, value: str) -> str:
    labels = value.strip().lower()
    if not _LABELS.fullmatch(labels) or len(labels) > _MAX_HOST_CHARACTERS:
        raise InvalidConfigurationError(
            key, "must be part of a host name: letters, digits, hyphens and dots."
        )
    return labels


def _host_and_port(key: str, value: str) -> str:
    match = _HOST_AND_PORT.fullmatch(value.lower())
    if not match or len(match[1]) > _MAX_HOST_CHARACTERS or int(match[2] or 0) > _MAX_PORT:
        raise InvalidConfigurationError(
            key, "must be a host name such as acme.example.com, with :port if needed."
        )
    return match[1] + (f":{int(match[2])}" if match[2] else "")


def _fill_rest(rest: str, values: Mapping[str, str]) -> str:
    path, question_mark, query = rest.partition("?")
    path = VARIABLE.sub(lambda found: _path_part(found[1], values[found[1]]), path)
    query = VARIABLE.sub(lambda found: _percent_encoded(found[1], values[found[1]]), query)
    return path + question_mark + query


def _path_part(key: str, value: str) -> str:
    # Dots survive percent-encoding, and clients resolve dot segments (RFC 3986 5.2.4).
    if not value.strip().strip("."):
        raise InvalidConfigurationError(key, "must not consist of dots.")
    return _percent_encoded(key, value.strip())


def _one_line(key: str, value: str) -> str:
    # A line break could start another header, or end up in the error message of a library that rejects it.
    if _CONTROL.search(value):
        raise InvalidConfigurationError(key, "contains a line break or another control character.")
    return value


def _percent_encoded(key: str, value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise InvalidConfigurationError(
            key, "contains a character that is not allowed in a URL."
        ) from error
