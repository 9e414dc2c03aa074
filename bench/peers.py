"""Installs the other gateways, each in a folder of its own under `bench/.peers/`; nothing system-wide.

Does not keep them current: remove the folder to install anew. What cannot be installed is said and left out.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.subjects import PEERS, find_nginx

_Command = tuple[str, ...]


def install() -> None:
    """Install what is missing; prints one line for each peer."""
    PEERS.mkdir(exist_ok=True)
    (PEERS / ".gitignore").write_text("*\n")
    for name, steps in _STEPS.items():
        print(f"{name:<8} {_install(steps)}", flush=True)


def _install(steps: Callable[[], list[_Command]]) -> str:
    try:
        commands = steps()
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, text=True, cwd=PEERS)
    except subprocess.CalledProcessError as error:
        return f"not installed: {' '.join(error.cmd)}: {(error.stderr.strip().splitlines() or ['failed'])[-1]}"
    except OSError as error:
        return f"not installed: {error}"
    return "installed" if commands else "already there"


def _python_package(name: str) -> list[_Command]:
    folder = PEERS / name
    if (folder / "bin" / name).exists():
        return []
    requirements = Path(__file__).parent / f"requirements-{name}.txt"
    return [
        (sys.executable, "-m", "venv", str(folder)),
        (str(folder / "bin" / "pip"), "install", "--quiet", "-r", str(requirements)),
    ]


def _debian_nginx() -> list[_Command]:
    if find_nginx() is not None:
        return []
    unpack = 'cd "$(mktemp -d)" && apt-get download -q nginx && dpkg -x nginx_*.deb "$0"'
    return [("sh", "-c", unpack, str(PEERS / "nginx"))]


_STEPS: dict[str, Callable[[], list[_Command]]] = {
    "smg": lambda: _python_package("smg"),
    "litellm": lambda: _python_package("litellm"),
    "nginx": _debian_nginx,
}


if __name__ == "__main__":
    install()
