import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from environ import Env

from config.first_run import write_env_file

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture
def env_file(tmp_path):
    return tmp_path / ".env"


def test_the_first_run_writes_keys_that_only_the_owner_may_read(env_file):
    previous = os.umask(0)
    try:
        assert write_env_file(env_file)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_what_is_there_already_is_never_overwritten(env_file):
    env_file.write_text("SECRET_KEY=mine\n")
    assert not write_env_file(env_file)
    assert env_file.read_text() == "SECRET_KEY=mine\n"


def test_a_link_to_a_file_elsewhere_is_not_followed(env_file, tmp_path):
    env_file.symlink_to(tmp_path / "elsewhere")
    assert not write_env_file(env_file)
    assert not (tmp_path / "elsewhere").exists()


def test_two_machines_get_different_keys(tmp_path):
    write_env_file(tmp_path / "one")
    write_env_file(tmp_path / "two")
    one, two = (set((tmp_path / name).read_text().splitlines()) for name in ("one", "two"))
    shared = {line for line in one & two if not line.startswith("#")}
    assert shared == {"SANDBOX_ENABLED=true"}


def test_the_settings_take_what_the_first_run_wrote(env_file, monkeypatch):
    """Values come back as written: nothing in them is read as a comment, a quote or another variable."""
    write_env_file(env_file)
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "SANDBOX_ENABLED"):
        monkeypatch.delenv(name)
    Env.read_env(env_file)
    written = dict(
        line.split("=", 1) for line in env_file.read_text().splitlines() if line[0] != "#"
    )
    assert {name: os.environ[name] for name in written} == written
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--tag", "encryption"],
        cwd=PROJECT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_a_missing_setting_is_told_in_a_sentence_and_without_a_traceback():
    environment = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "x",
        "ENCRYPTION_KEYS": "",
        "PUBLIC_URL": "nonsense",
    }
    run = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "PUBLIC_URL must be" in run.stderr
    assert "Traceback" not in run.stderr
