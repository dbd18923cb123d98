"""The German texts are complete, and what `make messages` would write."""

import re

import pytest

from tests.support.messages import (
    LANGUAGES,
    catalogue_of_texts,
    compiled,
    po_of,
    read_catalogue,
)


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


def test_every_text_has_a_translation(language):
    translated = {message.id for message in read_catalogue(language) if message.string}
    texts = {message.id for message in catalogue_of_texts()}
    assert translated - {""} == texts - {""}


def test_no_translation_is_a_guess(language):
    assert [message.id for message in read_catalogue(language) if message.fuzzy] == []


def test_translations_keep_the_placeholders(language):
    placeholders = re.compile(r"%\(\w+\)s|%[sd]")
    changed = [
        message.id
        for message in read_catalogue(language)
        if message.id
        and sorted(placeholders.findall(str(message.id)))
        != sorted(placeholders.findall(str(message.string)))
    ]
    assert changed == []


def test_what_is_compiled_is_what_is_written(language):
    """The program needs no gettext: the compiled file is part of the source."""
    assert po_of(language).with_suffix(".mo").read_bytes() == compiled(read_catalogue(language))
