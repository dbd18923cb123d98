"""A web process of this program with its own folder, port and keys, and an unreliable link to it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Literal

import requests

from instances.crypto import sealing
from tests.support.loopback import LoopbackHandler, LoopbackServer

PROJECT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60
COMMAND_SECONDS = 60
STOP_SECONDS = 10
CALL_SECONDS = 30
THREADS = 4


class Server:
    """server.start() and server.kill() can be repeated; server.manage("create_account", …) runs a command.

    It may start with a copy of a database that another server has prepared.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self.database = folder / "db.sqlite3"
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        self._environment = kept | {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(folder),
            "PORT": str(self.port),
            "PUBLIC_URL": self.url,
            "DATABASE_URL": "",
            "SECRET_KEY": "only-for-this-test" * 4,
            "ENCRYPTION_KEYS": sealing.generate_key(),
            **environment,
        }

    def start(self) -> None:
        bind = ["--bind", f"127.0.0.1:{self.port}", "--threads", str(THREADS)]
        config = ["--config", "python:config.web_server"]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own program, no shell
                [sys.executable, "-m", "gunicorn", *bind, *config, "config.wsgi"],
                cwd=PROJECT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.1)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def worker(self) -> int:
        """The process id of gunicorn's only worker."""
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int(children.read_text().split()[0])

    def kill(self) -> None:
        """Kill it and its workers without warning, as if the machine lost power."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process and self.is_running:
            self._process.terminate()
            self._process.wait(timeout=STOP_SECONDS)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def manage(self, *arguments: str) -> str:
        """Run a command that must succeed; returns its output."""
        return self.run_python("manage.py", *arguments)

    def run_python(self, *arguments: str) -> str:
        """Like manage(), for any of our programs."""
        run = subprocess.run(  # noqa: S603  as above
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command on the same data in a new session, and leave it running."""
        return self.begin_python("manage.py", *arguments)

    def begin_python(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        with self._log.open("a") as log:
            return subprocess.Popen(  # noqa: S603  as above
                [sys.executable, *arguments],
                cwd=PROJECT,
                env=self._environment | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=CALL_SECONDS).ok
        except requests.ConnectionError:
            return False


class Link(LoopbackServer):
    """A link between a client and a server. fate: what happens to each request from now on.

    delivered: request and response pass. request lost: the connection is closed before the server gets the request.
    answer lost: the server has responded, but the client gets nothing; before_the_cut() is called in between.
    """

    def __init__(self, port: int) -> None:
        super().__init__(_LinkHandler)
        self.fate: Literal["delivered", "request lost", "answer lost"] = "delivered"
        self.before_the_cut: Callable[[], None] = lambda: None
        self.port = port


class _LinkHandler(LoopbackHandler):
    def _pass_on(self) -> None:
        link: Link = self.server.owner
        body = self.read_body()
        if link.fate == "request lost":
            return self._cut()
        connection = HTTPConnection("127.0.0.1", link.port, timeout=CALL_SECONDS)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
        except OSError:
            return self._cut()
        finally:
            connection.close()
        if link.fate == "answer lost":
            link.before_the_cut()
            return self._cut()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
