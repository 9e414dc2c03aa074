"""The servers' packages of Debian, unpacked beside the tests' environment where the machine has not installed them.

`python -m tests.servers.fetching` needs no rights and installs nothing: apt says which packages are missing, which are
downloaded and unpacked in `.venv/servers`. It fails where one cannot be had, and says nothing where all are there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.servers.found import UNPACKED, Programs, clock_library, nginx_programs, postgres_programs, valkey_programs

_NOT_NEEDED = re.compile(
    r"adduser|cron|debconf.*|init-system-helpers|iproute2|libbpf.*|libelf.*|libmnl.*|libtirpc.*|libxtables.*|nginx-common|"
    r"libcommon-.*|libc6|libc-bin|libjson.*|libllvm.*|libtext.*|locales|logrotate|lsb.*|"
    r"netbase|perl.*|postgresql-(client-)?common|sensible-utils|ssl-cert|sysvinit.*|ucf"
)
"""What the packages want for their installation, for administration or for compiling SQL, and the server does not."""

_DOWNLOAD_S = 240


@dataclass(frozen=True)
class Wanted:
    """What tests need, the packages that hold it, the likeliest first, and whether it is there."""

    name: str
    packages: tuple[str, ...]
    find: Callable[[], Programs | Path | None]


SERVERS = (
    Wanted("PostgreSQL", tuple(f"postgresql-{version}" for version in range(19, 12, -1)), postgres_programs),
    Wanted("Valkey or Redis", ("valkey-server", "redis-server"), valkey_programs),
    Wanted("nginx", ("nginx",), nginx_programs),
    Wanted("libfaketime", ("libfaketime",), clock_library),
)


def fetch(wanted: Wanted) -> str:
    """Unpack a server that is missing; say why it cannot be had, or nothing."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return "it is not installed, and this is no Debian to fetch it from"
    print(f"Fetching {wanted.name} for the tests (once) …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        for options in ([], _own_lists(Path(folder))):
            if options and _apt(["update"], options, Path(folder)).returncode != 0:
                break
            if (names := _missing(wanted, options, Path(folder))) and _unpack(names, options, Path(folder)):
                return ""
    return "its packages cannot be downloaded"


def _missing(wanted: Wanted, options: list[str], folder: Path) -> list[str]:
    """Which packages this machine would need, to have the first of the server's that is known."""
    for name in wanted.packages:
        told = _apt(["install", "--simulate", "--no-install-recommends", name], options, folder)
        if told.returncode == 0:
            found = re.findall(r"^Inst (\S+) ", told.stdout, re.MULTILINE)
            return [each for each in found if not _NOT_NEEDED.fullmatch(each)]
    return []


def _unpack(names: list[str], options: list[str], folder: Path) -> bool:
    if _apt(["download", *names], options, folder).returncode != 0:
        return False
    UNPACKED.mkdir(parents=True, exist_ok=True)
    archives = sorted(folder.glob("*.deb"))
    return all(subprocess.run(["dpkg", "-x", each, UNPACKED], check=False).returncode == 0 for each in archives)


def _own_lists(folder: Path) -> list[str]:
    """What tells apt to keep lists of packages of its own: the machine's may be missing or old, and another user's."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    return ["-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]


def _apt(words: list[str], options: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    unwatched = ["-qq", "-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1", *options]
    try:
        return subprocess.run(
            ["apt-get", *unwatched, *words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_DOWNLOAD_S,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", "")


def main() -> int:
    """Fetch what is missing; 1 if something still is."""
    missing = False
    for wanted in SERVERS:
        reason = "" if wanted.find() else fetch(wanted)
        if reason or wanted.find() is None:
            missing = True
            told = "the tests that use it will " + ("fail" if os.environ.get("CI") else "be skipped")
            print(f"{wanted.name}: {reason or 'what was unpacked does not hold it'}; {told}.", file=sys.stderr)
    return int(missing)


if __name__ == "__main__":
    sys.exit(main())
