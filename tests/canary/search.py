"""Search everything that this program stores or shows for secrets, in all common encodings."""

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, quote_plus

from django.contrib import admin
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse

# Fewer characters may occur by chance, or be a word.
MIN_CORE_CHARACTERS = 12
# Links that would change something or sign out.
_NOT_FOLLOWED = re.compile(r"/(logout|jsi18n|r|password)/")
_LINK = re.compile(r'href="(/admin/[^"#?]*|\?way=\w+|\?page=\d+)')


def found(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Report which secret occurs where, and in which encoding. secrets: what each secret is."""
    return [
        f"{what} ({form}) in {place}"
        for secret, what in secrets.items()
        for form, written in written_forms(secret).items()
        for place, content in places.items()
        if written in content
    ]


def written_forms(secret: str) -> dict[str, bytes]:
    """The secret in plain text, and encoded for URLs, JSON, HTML, base64 and hexadecimal."""
    forms = {
        "clear": secret,
        "quoted": quote(secret, safe=""),
        "quoted as a path": quote(secret),
        "quoted as a form": quote_plus(secret),
        "JSON": json.dumps(secret)[1:-1],
        "JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1],
        "HTML": html.escape(secret),
        "hexadecimal": secret.encode().hex(),
    }
    # However it is escaped, and how often, letters and digits stay the same.
    core = max(re.findall(r"[A-Za-z0-9]+", secret), key=len)
    if len(core) >= MIN_CORE_CHARACTERS:
        forms["escaped somehow"] = core
    for offset in range(3):
        encoded = _base64_core(secret.encode(), offset)
        forms[f"base64 at {offset}"] = encoded
        forms[f"base64url at {offset}"] = encoded.replace("+", "-").replace("/", "_")
    return {name: form.encode() for name, form in forms.items()}


def _base64_core(secret: bytes, offset: int) -> str:
    """The characters common to all base64 texts in which the secret starts `offset` bytes after a group of three."""
    encoded = base64.b64encode(b"\0" * offset + secret).decode()
    return encoded[-(-offset * 8 // 6) : (offset + len(secret)) * 8 // 6]


def database() -> Iterator[tuple[str, bytes]]:
    """Every row of every table, the contents of sessions, and on SQLite the bytes of the database files."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            rows = cursor.fetchall()
            yield f"table {table}", "\n".join(str(value) for row in rows for value in row).encode()
    for session in Session.objects.all():
        yield "a session", json.dumps(session.get_decoded(), ensure_ascii=False).encode()
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        for file in (Path(name), Path(f"{name}-wal")):
            if file.exists():
                yield f"file {file.name}", file.read_bytes()


def forget_deleted_rows() -> None:
    """Remove all traces of other tests' rows from the database file."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def admin_pages(client: Client) -> Iterator[tuple[str, bytes]]:
    """Every admin page of every object, and the pages that they link to. Nothing is posted."""
    waiting, seen = [reverse("admin:index"), *_pages_of_models()], set()
    while waiting:
        url = waiting.pop()
        if url in seen or _NOT_FOLLOWED.search(url):
            continue
        seen.add(url)
        response = client.get(url)
        content = response.getvalue()  # also works for streamed files
        yield f"page {url}", content + str(response.headers).encode()
        for link in _LINK.findall(content.decode(errors="replace")):
            waiting.append(html.unescape(url.partition("?")[0] + link if link[0] == "?" else link))


def _pages_of_models() -> Iterator[str]:
    for model, model_admin in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for page in ("changelist", "add"):
            with suppress(NoReverseMatch):
                yield reverse(f"{name}_{page}")
        for row in model_admin.model._default_manager.all():
            for page in ("change", "history", "delete"):
                yield reverse(f"{name}_{page}", args=[row.pk])
