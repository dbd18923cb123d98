"""docs/howto/tour.md is correct: its commands, pasted in order, lead where the page says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs/howto/tour.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.django_db(transaction=True)
def test_a_newcomer_can_paste_the_tour_from_its_beginning_to_its_end(
    sandbox_api, live_server, tmp_path
):
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nfail\nwrite-out = "\\n"\n')
    script = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.M | re.S))
    done = subprocess.run(  # noqa: S603  the page's own commands
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607
        env={
            "PATH": os.environ["PATH"],
            "CURL_HOME": str(tmp_path),
            "HOST": live_server.url,
            "USER_SECRET": sandbox_api.user.secret.reveal(),
            "ORGANIZATION_SECRET": sandbox_api.user.organization.secret.reveal(),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [line for line in done.stdout.splitlines() if line.strip()]
    objects, metadata, contacts, first, second, changed, note, accounts = answers
    assert '"contacts"' in objects
    assert '"vendorPath": "lastname"' in metadata
    assert contacts.count('"contactid"') == 3
    assert first.count("de Wit") == second.count("de Wit") == 5
    assert first != second
    assert '"jobtitle": "Analyst"' in changed
    assert '"subject": "Met at the fair"' in note
    assert '"Harbour Logistics"' in accounts
