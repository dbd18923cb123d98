"""URL templates: addresses of the catalogue with {configuration keys} in them, filled so that no value can
send a credential to another host, path or query than the template means.
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
# RFC 1035 2.3.4; one less than the 254 that the trailing dot of the root would make it.
_MAX_HOST_CHARACTERS = 253
_MAX_PORT = 65535


def variables_in(template: str) -> list[str]:
    """The configuration keys that a template needs, in their order, each once."""
    return list(dict.fromkeys(VARIABLE.findall(template)))


def authority_of(template: str) -> str:
    """The template up to the end of its host part; fill_url() makes a URL of it, too."""
    start = 0 if VARIABLE.match(template) else template.find("://") + len("://")
    found = _END_OF_AUTHORITY.search(template, start)
    return template[: found.start()] if found else template


def require_variables(templates: Iterable[str], values: Mapping[str, str]) -> None:
    """Raises MissingConfigurationError that names every variable without a value."""
    names = dict.fromkeys(name for template in templates for name in variables_in(template))
    if missing := [name for name in names if not values.get(name, "").strip()]:
        raise MissingConfigurationError(missing)


def fill_url(template: str, values: Mapping[str, str]) -> str:
    """The URL that a template means with these values.

    A value in the host part is a host label, a host name or host:port; where it is the whole host, a scheme
    before it and a path after it are taken off. Values in path and query are percent-encoded (RFC 3986 2.1).
    A template that begins with a variable takes an absolute URL there.

    Raises MissingConfigurationError, InvalidConfigurationError; neither repeats a value.
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
    """A header, parameter or scope with its variables filled in; one that is a URL is filled as one.

    Raises MissingConfigurationError, InvalidConfigurationError; neither repeats a value.
    """
    if _SCHEME.match(template):
        return fill_url(template, values)
    require_variables([template], values)
    return VARIABLE.sub(lambda found: _one_line(found[1], values[found[1]]), template)


def overridden(template: str, overrides: Mapping[str, str], *, public_url: str) -> str:
    """The template with the longest prefix that overrides names replaced.

    A replacement that begins with / is below this program's own public_url.
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
            key, "must be a plain URL: no query, no fragment, no blanks, no dot segments."
        )
    return f"{scheme[0].lower()}{_host_and_port(key, authority)}{path}"


def _fill_authority(authority: str, values: Mapping[str, str]) -> str:
    if whole := VARIABLE.fullmatch(authority):
        value = _SCHEME.sub("", values[whole[1]].strip(), count=1)
        return _host_and_port(whole[1], value.partition("/")[0])
    filled = VARIABLE.sub(lambda found: _labels(found[1], values[found[1]]), authority)
    if VARIABLE.search(authority) and not _HOST_AND_PORT.fullmatch(filled.lower()):
        raise InvalidConfigurationError(
            variables_in(authority)[0], "does not make a host name where it stands."
        )
    return filled


def _labels(key: str, value: str) -> str:
    labels = value.strip().lower()
    if not _LABELS.fullmatch(labels) or len(labels) > _MAX_HOST_CHARACTERS:
        raise InvalidConfigurationError(
            key, "must be the part of a host name only: letters, digits, hyphens and dots."
        )
    return labels


def _host_and_port(key: str, value: str) -> str:
    found = _HOST_AND_PORT.fullmatch(value.lower())
    if not found or len(found[1]) > _MAX_HOST_CHARACTERS or int(found[2] or 0) > _MAX_PORT:
        raise InvalidConfigurationError(
            key, "must be a host name such as acme.example.com, with :port where one is needed."
        )
    return found[1] + (f":{int(found[2])}" if found[2] else "")


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
    # A line end would begin a header of its own, or be quoted in the complaint of whoever refuses it.
    if _CONTROL.search(value):
        raise InvalidConfigurationError(key, "holds a line end or another control character.")
    return value


def _percent_encoded(key: str, value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise InvalidConfigurationError(key, "holds a character that no URL can carry.") from error
