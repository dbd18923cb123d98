import pytest
from django.core.management import CommandError, call_command

from instances.catalogue.loading import SHIPPED_FOLDER
from instances.models import Element

pytestmark = pytest.mark.django_db
OWN = """\
key = "acme"
id = 900100
name = "Acme"
hub = "crm"
description = "Connects an account of our own shop."

[[authentication]]
type = "apiKey"

[[authentication.fields]]
key = "api.key"
label = "API key"
type = "password"
required = true
secret = true
"""


@pytest.fixture
def own_file(tmp_path):
    path = tmp_path / "acme.toml"
    path.write_text(OWN)
    return path


def test_the_shipped_catalogue_comes_in_once(capsys):
    shipped = len(list(SHIPPED_FOLDER.glob("*.toml")))
    call_command("sync_elements")
    assert f"{shipped} added, 0 changed, 0 removed, 0 kept" in capsys.readouterr().out
    call_command("sync_elements")
    assert capsys.readouterr().out == "0 added, 0 changed, 0 removed, 0 kept\n"
    assert Element.objects.count() == shipped


def test_an_own_element_comes_in_and_stays_when_the_shipped_ones_are_synced(own_file, capsys):
    call_command("sync_elements", own_file)
    call_command("sync_elements")
    assert "added    acme\n" in capsys.readouterr().out
    assert Element.objects.active().filter(key="acme", source=Element.Source.OWN).exists()


def test_a_changed_file_is_told_as_changed(own_file, capsys):
    call_command("sync_elements", own_file)
    own_file.write_text(OWN.replace('name = "Acme"', 'name = "Acme Shop"'))
    call_command("sync_elements", own_file)
    assert "changed  acme\n" in capsys.readouterr().out
    assert Element.objects.get().name == "Acme Shop"


def test_a_dry_run_tells_and_changes_nothing(own_file, capsys):
    call_command("sync_elements", own_file, "--dry-run")
    assert "1 added" in capsys.readouterr().out
    assert not Element.objects.exists()


def test_one_wrong_file_refuses_all_and_says_where(own_file, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(OWN.replace("apiKey", "handshake"))
    with pytest.raises(CommandError, match=r"wrong\.toml: authentication\[0\]\.type: ") as refused:
        call_command("sync_elements", own_file, wrong)
    assert refused.value.returncode == 2
    assert not Element.objects.exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"absent\.toml: cannot be read"):
        call_command("sync_elements", tmp_path / "absent.toml")
