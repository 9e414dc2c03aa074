"""The servers that are compared: how each is started, and what a client sends it.

Does not start anything: a subject is a value, and `launch` only writes the files its server reads.
"""

import base64
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.recordings import UPSTREAM_MODEL, Api

DIALECTS = ("chat", "responses", "messages", "gemini")
ROOT = Path(__file__).parent.parent
PEERS = ROOT / "bench" / ".peers"

# A key of the valid form that opens nothing: it exists only in the temporary database of a run.
_BENCH_KEY = "tl-" + base64.urlsafe_b64encode(b"a fixed key for benchmarks only.").decode().rstrip("=")


@dataclass(frozen=True)
class Place:
    """Where a server may put itself: an empty folder that is its current one, its port, the mock provider's port."""

    folder: Path
    port: int
    spare_port: int
    upstream_port: int

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}"


@dataclass(frozen=True)
class Launch:
    """A command, and what it needs in its environment beyond PATH and HOME."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """One server under test. `route` says which of its ways is measured and what the mock provider then hears.

    One that `is_heavy` fills a core with a load that the others carry side by side.
    """

    name: str
    route: str
    api: Api
    path: str
    model: str
    program: Path | None
    missing: str
    launch: Callable[[Place], Launch]
    headers: Mapping[str, str] = field(default_factory=dict)
    is_heavy: bool = False

    @property
    def absence(self) -> str | None:
        """Why it cannot be measured here; None when it can."""
        return None if self.program is not None and self.program.exists() else self.missing


def ours() -> tuple[Subject, ...]:
    """This gateway in front of each dialect, through its other doors, and the floors below it."""
    return (
        *(_trunkline("trunkline", dialect, ROOT) for dialect in DIALECTS),
        _trunkline("trunkline", "chat", ROOT, Api.CHAT),
        _trunkline("trunkline", "messages", ROOT, Api.MESSAGES),
        _relay(),
        _nginx(),
    )


def beside(root: Path) -> tuple[Subject, ...]:
    """Another checkout of this gateway, with an environment of its own, in front of each dialect."""
    return tuple(_trunkline("before", dialect, root) for dialect in DIALECTS)


def peers() -> tuple[Subject, ...]:
    """The others, whether or not they are installed."""
    return (_smg("smg", Api.RESPONSES), _smg("smg/chat", Api.CHAT))


def litellm() -> Subject:
    """A proxy in this language, tens of times slower than all others: it lengthens every round."""
    program = PEERS / "litellm" / "bin" / "litellm"
    # It refuses to start without a key, and with one that looks made up.
    key = "sk-" + secrets.token_hex(32)

    def launch(place: Place) -> Launch:
        parameters = {"model": f"openai/{UPSTREAM_MODEL}", "api_base": f"{place.upstream}/v1", "api_key": "bench"}
        config = {
            "model_list": [{"model_name": UPSTREAM_MODEL, "litellm_params": parameters}],
            "litellm_settings": {"telemetry": False},
        }
        file = place.folder / "litellm.yaml"
        file.write_text(json.dumps(config))
        flags = ("--config", str(file), "--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1")
        environment = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        return Launch((str(program), *flags), environment)

    return Subject(
        name="litellm",
        route=f"{Api.CHAT} to the same; its proxy with one worker and a master key, no database",
        api=Api.CHAT,
        path=Api.CHAT,
        model=UPSTREAM_MODEL,
        program=program,
        missing="not installed: python -m bench.peers",
        launch=launch,
        headers={"authorization": f"Bearer {key}"},
        is_heavy=True,
    )


def _trunkline(name: str, dialect: str, root: Path, api: Api = Api.RESPONSES) -> Subject:
    program = root / ".venv" / "bin" / "trunkline"

    def launch(place: Place) -> Launch:
        config = place.folder / "trunkline.toml"
        config.write_text(_TRUNKLINE_TOML.format(dialect=dialect, upstream=place.upstream, model=UPSTREAM_MODEL))
        return Launch(
            (str(program), "serve", "--config", str(config), "--port", str(place.port)),
            {"MOCK_KEY": "bench", "TRUNKLINE_BOOTSTRAP_KEY": _BENCH_KEY},
        )

    return Subject(
        name=f"{name}/{dialect}" + ("" if api is Api.RESPONSES else ", its own door"),
        route=f"/api{api} to {dialect}; authenticates, validates, routes, translates, prices",
        api=api,
        path=f"/api{api}",
        model=f"mock/{dialect}",
        program=program,
        missing=f"not installed: make setup in {root}",
        launch=launch,
        headers={"authorization": f"Bearer {_BENCH_KEY}"},
    )


def _relay() -> Subject:
    def launch(place: Place) -> Launch:
        command = (sys.executable, "-m", "bench.relay", str(place.port), str(place.upstream_port))
        return Launch(command, {"PYTHONPATH": str(ROOT)})

    return Subject(
        name="relay",
        route=f"{Api.RESPONSES} to the same; copies bytes",
        api=Api.RESPONSES,
        path=Api.RESPONSES,
        model=UPSTREAM_MODEL,
        program=Path(sys.executable),
        missing="",
        launch=launch,
    )


def _smg(name: str, api: Api) -> Subject:
    program = PEERS / "smg" / "bin" / "smg"

    def launch(place: Place) -> Launch:
        flags = {
            "--backend": "openai",
            "--worker-urls": place.upstream,
            "--host": "127.0.0.1",
            "--port": str(place.port),
            "--prometheus-host": "127.0.0.1",
            "--prometheus-port": str(place.spare_port),
            "--log-level": "warn",
        }
        return Launch((str(program), "launch", *(word for flag in flags.items() for word in flag)))

    return Subject(
        name=name,
        route=f"{api} to the same; its openai backend",
        api=api,
        path=api,
        model=UPSTREAM_MODEL,
        program=program,
        missing="not installed: python -m bench.peers",
        launch=launch,
        headers={"authorization": "Bearer bench"},
    )


def _nginx() -> Subject:
    program = find_nginx()

    def launch(place: Place) -> Launch:
        file = place.folder / "nginx.conf"
        file.write_text(_NGINX_CONF.format(folder=place.folder, port=place.port, upstream_port=place.upstream_port))
        return Launch((str(program), "-p", f"{place.folder}/", "-e", "stderr", "-c", str(file)))

    return Subject(
        name="nginx",
        route=f"{Api.RESPONSES} to the same; a plain reverse proxy without buffering, one worker",
        api=Api.RESPONSES,
        path=Api.RESPONSES,
        model=UPSTREAM_MODEL,
        program=program,
        missing="not installed: python -m bench.peers",
        launch=launch,
    )


def find_nginx() -> Path | None:
    """The nginx program of the system, or else the one unpacked beside the other peers."""
    system = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    unpacked = PEERS / "nginx" / "usr" / "sbin" / "nginx"
    if system is not None:
        return Path(system)
    return unpacked if unpacked.exists() else None


_TRUNKLINE_TOML = """\
[store]
url = "sqlite:///trunkline.db"

[providers.mock-{dialect}]
dialect = "{dialect}"
base_url = "{upstream}/v1"
api_key = {{ env = "MOCK_KEY" }}

[[endpoints]]
provider = "mock-{dialect}"
model = "mock/{dialect}"
upstream_model = "{model}"
price = {{ input = "1", output = "2", cache_read = "0.5" }}
context_tokens = 128000
"""

# The limits are lifted so that neither side's connections are recycled in the middle of a measurement.
_NGINX_CONF = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream mock {{ server 127.0.0.1:{upstream_port}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        keepalive_requests 100000000;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""
