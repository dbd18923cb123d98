"""The translations of what account owners read: link pages and mails. Texts for staff and operators are English only.

`make messages` runs this module. It updates and compiles instances/locale/*/LC_MESSAGES/django.po.
"""

import ast
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

PROJECT = Path(__file__).resolve().parent.parent.parent
LOCALE = PROJECT / "instances/locale"
LANGUAGES = ("de",)
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
}
TEMPLATES = (
    "templates/instances/page.html",
    "templates/instances/sheet.html",
    "templates/instances/link_sheet.html",
    "templates/instances/authorize.html",
    "templates/instances/choice.html",
    "templates/instances/error.html",
    "templates/instances/form_field.html",
    "templates/instances/form_fields.html",
    "templates/instances/other_account.html",
    "templates/instances/thanks.html",
    "templates/instances/time.html",
    "templates/403_csrf.html",
)
MODULES = (
    "instances/callbacks/authorize_link.py",
    "instances/callbacks/error_pages.py",
    "instances/callbacks/oauth_callback.py",
    "instances/pages/forms.py",
    "instances/provisioning/oauth/callback.py",
    "instances/provisioning/oauth/links.py",
    "instances/provisioning/status/audience.py",
)
# Of the causes, account owners read these.
CAUSES = "instances/causes.py"
CAUSE_ARGUMENTS = {"account_owner", "heading"}


def catalogue_of_texts() -> Catalog:
    """Return every text to translate, with the files that it stands in."""
    catalogue = Catalog(charset="utf-8")
    for file, text in sorted(_texts()):
        catalogue.add(text, locations=[(file, None)])  # type: ignore[list-item]
    return catalogue


def _texts() -> Iterator[tuple[str, str]]:
    for file in TEMPLATES:
        yield from _extracted(file, _calls_of_template((PROJECT / file).read_text()))
    for file in MODULES:
        yield from _extracted(file, (PROJECT / file).read_text())
    for node in ast.walk(ast.parse((PROJECT / CAUSES).read_text())):
        if isinstance(node, ast.keyword) and node.arg in CAUSE_ARGUMENTS:
            yield from _extracted(CAUSES, ast.unparse(node.value))


def _calls_of_template(template: str) -> str:
    """Return a template's translations as calls in Python, one a line."""
    # Django blanks out everything else with letters, which is not Python.
    calls = re.findall(r" ((?:_|gettext|ngettext)\(.*?\)) ", templatize(template))
    return "\n".join(calls)


def _extracted(file: str, source: str) -> Iterator[tuple[str, str]]:
    for _line, text, _comments, _context in extract(
        "python", BytesIO(source.encode()), keywords=KEYWORDS
    ):
        yield file, text if isinstance(text, str) else text[0]


def po_of(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES/django.po"


def read_catalogue(language: str) -> Catalog:
    with po_of(language).open("rb") as file:
        return read_po(file, locale=language)


def compiled(catalogue: Catalog) -> bytes:
    buffer = BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def update(language: str) -> list[str]:
    """Update and compile a language. Return the texts without a translation."""
    catalogue = read_catalogue(language)
    texts = catalogue_of_texts()
    # A text that did not change leaves the file as it was.
    texts.creation_date = catalogue.creation_date
    catalogue.update(texts, no_fuzzy_matching=True)
    with po_of(language).open("wb") as file:
        write_po(file, catalogue, width=100, ignore_obsolete=True)
    po_of(language).with_suffix(".mo").write_bytes(compiled(catalogue))
    return [str(message.id) for message in catalogue if message.id and not message.string]


if __name__ == "__main__":
    missing = [f"{language}: {text!r}\n" for language in LANGUAGES for text in update(language)]
    if missing:
        sys.stderr.writelines(["These texts have no translation:\n", *missing])
        sys.exit(1)
