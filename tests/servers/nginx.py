"""An nginx of the tests' own that runs a configuration as an operator wrote it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.found import Programs, nginx_programs
from tests.servers.process import Server, watched_folder, within_reach

_AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    log_format asked "$status $upstream_addr";
    access_log {folder}/asked.log asked;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{within}
}}
"""
"""What a machine's own nginx.conf has around the files of its sites."""


class Nginx(Server):
    """An nginx with one site; where this writes `{port}` it listens."""

    def __init__(self, programs: Programs, folder: Path, site: str) -> None:
        super().__init__(programs, folder, self._arguments)
        self._site = site

    @property
    def asked(self) -> str:
        """A line for each request: its status, and the addresses that were asked."""
        return (self.folder / "asked.log").read_text()

    def is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def _arguments(self, port: int) -> Sequence[str]:
        file = self.folder / "nginx.conf"
        file.write_text(_AROUND.format(folder=self.folder, within=self._site.replace("{port}", str(port))))
        return [self._programs.path("nginx"), "-p", f"{self.folder}/", "-e", "stderr", "-c", str(file)]


@contextlib.contextmanager
def started(site: str) -> Iterator[Nginx]:
    """Start an nginx with this site, which is gone at the end."""
    found = nginx_programs()
    assert found is not None, "there is no nginx"
    with watched_folder("nginx") as folder, within_reach(found, folder) as reachable:
        server = Nginx(reachable, folder, site)
        server.start()
        try:
            yield server
        finally:
            server.stop()
