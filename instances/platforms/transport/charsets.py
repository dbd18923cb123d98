"""Decode what a server sends, whatever it says about its character set."""

import re
from email.message import Message
from functools import lru_cache

# The character sets of the web. Others are not looked up: some of Python's codecs are not for text, or slow.
_KNOWN = re.compile(
    r"utf-?(8|16|32)(-?[lb]e)?|us-ascii|iso-8859-\d{1,2}|latin-?1|windows-125\d|shift_jis|euc-(jp|kr)|gb(2312|k|18030)|big5"
)


def decoded(body: bytes, content_type: str | None) -> str:
    """Decode a body by its declared character set, else as UTF-8, else as ISO-8859-1."""
    for charset in (_declared(content_type or ""), "utf-8-sig"):
        try:
            return body.decode(charset)
        except (UnicodeError, LookupError):
            continue
    return body.decode("latin-1")


def media_type(content_type: str | None) -> str:
    """Return the type without parameters, such as "text/html"."""
    return (content_type or "").partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def _declared(content_type: str) -> str:
    message = Message()
    message["Content-Type"] = content_type.replace("\r", "").replace("\n", "")
    charset = str(message.get_content_charset() or "")
    return charset if _KNOWN.fullmatch(charset) else "utf-8-sig"
