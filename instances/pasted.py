"""Texts that people paste: what comes along at their ends is not meant, and what they take for the same is the same."""

import unicodedata

# Zero-width characters, byte order marks and marks of direction come along when text is copied from web pages.
_INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\ufeff"
_LINE_ENDS = "\r\n" + _INVISIBLE
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + _INVISIBLE
_WITHOUT_INVISIBLE = dict.fromkeys(map(ord, _INVISIBLE))


def trimmed(text: str) -> str:
    """Remove the blanks, line ends and invisible characters around a pasted text."""
    return text.strip(_BLANKS)


def trimmed_password(text: str) -> str:
    """Remove the line ends and invisible characters around a pasted password.

    A password may begin or end with a blank, but not consist of blanks.
    """
    return text.strip(_LINE_ENDS) if trimmed(text) else ""


def comparable(name: str) -> str:
    """Return the form in which names are compared: people take names with the same one for the same.

    Unicode's compatibility form (NFKC), without regard to case, white space and invisible characters.
    """
    folded = unicodedata.normalize("NFKC", name).translate(_WITHOUT_INVISIBLE).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
