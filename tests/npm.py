"""Packages of the npm registry that tests use, each in the folder whose `package.json` pins its version.

`python -m tests.npm` installs them where Node is present; tests that want one that is missing are skipped. The heaviest
are programs with an engine of their own: Claude Code is 186 MB to fetch, opencode 60.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_INSTALL_S = 180


@dataclass(frozen=True)
class Package:
    """One package, in the folder of the tests that use it, with what is pinned beside it."""

    folder: Path
    name: str

    @property
    def pins(self) -> Mapping[str, str]:
        """The versions that are pinned, by the package's name."""
        pinned: Mapping[str, str] = json.loads((self.folder / "package.json").read_text())["dependencies"]
        return pinned

    @property
    def version(self) -> str:
        """The version that is pinned."""
        return self.pins[self.name]

    @property
    def place(self) -> Path:
        """Where its files are, if it is installed."""
        return self.folder / "node_modules" / self.name

    def is_installed(self) -> bool:
        """Whether it is there, and all beside it, in the versions that are pinned."""
        return all(_version_at(self.folder / "node_modules" / name) == pin for name, pin in self.pins.items())

    def absence(self) -> str:
        """Say why it cannot be used; empty if it can."""
        if self.is_installed():
            return ""
        return f"{self.name} {self.version} is not installed; run `python -m tests.npm`, as `make test` does"

    def install(self) -> str:
        """Install it where Node is present and it is missing; say what came of it."""
        npm = shutil.which("npm")
        if self.is_installed():
            return ""
        if npm is None:
            return f"npm is not installed: the tests that use {self.name} will be skipped."
        # No lock file: it would record from where each package came. None of them has a dependency to pin.
        options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--silent"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([npm, "install", *options, "--prefix", str(self.folder)], check=False, timeout=_INSTALL_S)
        if not self.is_installed():
            return f"npm could not install {self.name}: the tests that use it will be skipped."
        return f"Installed {self.name} {self.version}."


def _version_at(place: Path) -> str:
    try:
        found: str = json.loads((place / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError):
        return ""
    return found


_TESTS = Path(__file__).parent

AIMOCK = Package(_TESTS / "providers", "@copilotkit/aimock")
AXE = Package(_TESTS / "browser", "axe-core")
CODEX = Package(_TESTS / "clients" / "codex", "@openai/codex")
AI_SDK = Package(_TESTS / "clients" / "ai_sdk", "ai")
OPENROUTER = Package(_TESTS / "clients" / "openrouter", "@openrouter/sdk")
OPENCODE = Package(_TESTS / "clients" / "opencode", "opencode-linux-x64")
CLAUDE_CODE = Package(_TESTS / "clients" / "claude_code", "@anthropic-ai/claude-code-linux-x64")
ANTHROPIC_SDK = Package(_TESTS / "clients" / "anthropic_sdk", "@anthropic-ai/sdk")

PACKAGES = (AIMOCK, AXE, CODEX, AI_SDK, OPENROUTER, OPENCODE, CLAUDE_CODE, ANTHROPIC_SDK)

if __name__ == "__main__":
    for package in PACKAGES:
        if told := package.install():
            print(told, file=sys.stderr)
