"""Tokens of further pages: sealed, and valid for one query of one instance (contract for hubs, 6)."""

import base64
import json
import zlib
from dataclasses import dataclass

from instances.crypto import sealing
from instances.errors import InvalidCallError, UnreadableSecretError
from instances.hubs.list_query import ListQuery
from instances.hubs.vendor import Position
from instances.models import Instance


@dataclass(frozen=True, slots=True)
class PageScope:
    """What a token is valid for."""

    instance: Instance
    resource: str
    query: ListQuery

    @property
    def context(self) -> str:
        return f"hub page:{self.instance.uid}:{self.resource}:{self.query.digest}"


def seal_page(position: Position, scope: PageScope) -> str:
    """Return the token for a position. It is compressed, since it comes back in a URL."""
    packed = zlib.compress(json.dumps(position, separators=(",", ":")).encode(), 9)
    return sealing.encrypt(base64.b85encode(packed).decode(), context=scope.context)


def open_page(token: str, scope: PageScope) -> Position:
    """Return the position of a token. Raises InvalidCallError if it is not one of this query."""
    try:
        text = sealing.decrypt(token, context=scope.context)
    except (UnreadableSecretError, UnicodeEncodeError):
        raise InvalidCallError(
            "nextPage is not a page token of this query. Repeat the query with the same parameters, or start again "
            "with the first page"
        ) from None
    return dict(json.loads(zlib.decompress(base64.b85decode(text))))
