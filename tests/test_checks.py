import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks

from instances.catalogue import loading
from instances.crypto import sealing
from tests.support.factories import make_instance

PROJECT = Path(__file__).resolve().parent.parent


def problems(tag="encryption", **options):
    found = run_checks(tags=[tag], databases=["default"], **options)
    return [problem.msg for problem in found if str(problem.id).startswith("instances.")]


@pytest.mark.django_db
def test_keys_that_fit_the_data_are_no_problem(settings):
    make_instance()
    settings.ENCRYPTION_KEYS = [sealing.generate_key(), *settings.ENCRYPTION_KEYS]
    make_instance()
    assert problems() == []


@pytest.mark.django_db
def test_a_missing_key_is_told_by_its_id_with_table_and_way_out(settings):
    make_instance()
    needed = sealing.encryption_keys()[0].id
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    told = problems()
    assert any("instances_instance.secret_configuration" in sentence for sentence in told)
    assert any("instances_organizationuser.secret" in sentence for sentence in told)
    *columns, none_fits = told
    assert all(f"the key {needed}, which is not in ENCRYPTION_KEYS" in one for one in columns)
    assert all("manage.py quarantine_unreadable" in one for one in columns)
    assert "No secret in the database" in none_fits


@pytest.mark.django_db
def test_a_missing_key_is_told_and_stops_no_start(settings):
    make_instance()
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    found = run_checks(tags=["encryption"], databases=["default"])
    assert found
    assert not any(problem.is_serious() for problem in found)


@pytest.mark.django_db
def test_one_row_under_another_key_among_many_is_found(settings):
    make_instance()
    usual = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    make_instance()
    settings.ENCRYPTION_KEYS = usual
    assert problems() != []


@pytest.mark.parametrize("keys", [[], ["short"], ["not base64 at all!" * 3]])
def test_malformed_keys_are_told_without_repeating_them(settings, keys):
    settings.ENCRYPTION_KEYS = keys
    [told] = [
        one.msg
        for one in run_checks(tags=["encryption"], databases=[])
        if "ENCRYPTION_KEYS" in one.msg
    ]
    assert not any(key in told for key in keys)


def test_an_element_file_that_does_not_parse_is_named(monkeypatch, tmp_path):
    (tmp_path / "broken.toml").write_text("key = ")
    monkeypatch.setattr(loading, "SHIPPED_FOLDER", tmp_path)
    assert any("broken.toml" in problem.msg for problem in run_checks())


@pytest.mark.parametrize(
    ("public_url", "is_fine"),
    [
        ("https://instances.example.com", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://instances.example.com", False),
    ],
)
def test_plain_http_is_for_the_loopback_only(settings, public_url, is_fine):
    settings.PUBLIC_URL = public_url
    settings.SANDBOX_ENABLED = False
    told = problems("security", include_deployment_checks=True)
    assert [sentence for sentence in told if "https" in sentence] == [] or not is_fine
    assert bool(told) is not is_fine


@pytest.mark.parametrize(
    ("is_trusted", "count", "is_fine"), [(True, 0, False), (True, 1, True), (False, 0, True)]
)
def test_a_proxy_that_is_trusted_is_counted(settings, is_trusted, count, is_fine):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if is_trusted else None
    settings.TRUSTED_PROXY_COUNT = count
    told = problems("security", include_deployment_checks=True)
    assert any("TRUSTED_PROXY_COUNT" in sentence for sentence in told) is not is_fine


@pytest.mark.parametrize(
    ("public_url", "is_enabled", "is_told"),
    [
        ("https://instances.example.com", True, True),
        ("https://localhost:8000", True, True),
        ("https://instances.example.com", False, False),
        ("http://localhost:8000", True, False),
    ],
)
def test_the_sandbox_is_not_for_https(settings, public_url, is_enabled, is_told):
    settings.PUBLIC_URL, settings.SANDBOX_ENABLED = public_url, is_enabled
    told = problems("security", include_deployment_checks=True)
    assert any("Set SANDBOX_ENABLED=false." in sentence for sentence in told) is is_told


def read_settings(names, **environment):
    """What config.settings makes of this environment, as a process of its own prints it."""
    return subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-c", f"from config import settings as s; print({names})"],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


HSTS = "s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD"


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({}, "31536000 False False"),
        ({"HSTS_INCLUDE_SUBDOMAINS": "true"}, "31536000 True False"),
        ({"HSTS_INCLUDE_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"}, "31536000 True True"),
    ],
)
def test_hsts_reaches_other_hosts_only_where_a_setting_says_so(environment, printed):
    done = read_settings(HSTS, PUBLIC_URL="https://instances.example.com", **environment)
    assert done.stdout.strip() == printed


def test_hsts_preload_without_subdomains_is_refused():
    refused = read_settings(HSTS, PUBLIC_URL="https://instances.example.com", HSTS_PRELOAD="true")
    assert "HSTS_PRELOAD=true needs HSTS_INCLUDE_SUBDOMAINS=true" in refused.stderr


@pytest.mark.slow
def test_the_web_server_starts_without_the_key_that_the_data_needs_and_says_so(tmp_path):
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    manage = [sys.executable, "manage.py"]
    made = ["create_account", "--organization=Acme", "--user=ada@example.com"]
    for command in (["migrate", "--verbosity=0"], made):
        subprocess.run(  # noqa: S603 - our own program, no shell
            [*manage, *command], cwd=PROJECT, env=environment, check=True, timeout=60
        )
    started = import_wsgi(environment | {"ENCRYPTION_KEYS": sealing.generate_key()})
    assert started.returncode == 0
    assert "which is not in ENCRYPTION_KEYS" in started.stderr
    assert "manage.py quarantine_unreadable" in started.stderr
    refused = import_wsgi(environment | {"ENCRYPTION_KEYS": "nonsense"})
    assert refused.returncode == 3
    assert "Traceback" not in refused.stderr


def import_wsgi(environment):
    return subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
        cwd=PROJECT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
