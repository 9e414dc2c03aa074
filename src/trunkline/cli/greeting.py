"""What `trunkline serve` says once it listens: where, with which providers and database, how to make the first call.

To a terminal in lines for people. To anything else as one JSON object, without the key: what collects a container's
output would keep it. The key is then in a file that only its owner can read.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from trunkline.accounts.keys import NewKey
from trunkline.catalog.entries import Catalog
from trunkline.cli.keys import database_name
from trunkline.cli.providers import likeliest
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.urls import sqlite_path

_NAME = "trunkline"


def greet(settings: Settings, catalog: Catalog, address: str, new_key: NewKey | None, good_keys: int) -> None:
    """Print the greeting."""
    if sys.stdout.isatty():
        print("\n".join(_lines(settings, catalog, address, new_key, good_keys)), flush=True)
        return
    said = {
        "event": "gateway.listening",
        "address": address,
        "providers": _on(catalog),
        "models": len(catalog.endpoints),
        "database": database_name(settings),
        "good_keys": good_keys,
        **({} if new_key is None else {"key_file": str(_key_file(settings))}),
    }
    print(json.dumps(said, ensure_ascii=False), flush=True)


def hand_over(settings: Settings, new_key: NewKey) -> None:
    """Write the first key to its file, unless there is a terminal to show it on.

    Raises SettingsError when the file cannot be written.
    """
    if sys.stdout.isatty():
        return
    path = _key_file(settings)
    try:
        path.unlink(missing_ok=True)  # of a database that is gone
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(new_key.text + "\n")
    except OSError as error:
        raise SettingsError([f"cannot write {path}: {error.strerror}; set bootstrap_key to a key of yours"]) from None


def _on(catalog: Catalog) -> list[str]:
    return [standing.provider.name for standing in catalog.standings.values() if standing.is_on]


def _lines(settings: Settings, catalog: Catalog, address: str, new_key: NewKey | None, good_keys: int) -> Iterator[str]:
    yield f"Trunkline listens on {address}"
    providers = ", ".join(_on(catalog)) or "none"
    yield f"Providers on: {providers}; models: {len(catalog.endpoints)} (see `{_command()} check`)"
    yield f"Database: {database_name(settings)}"
    if new_key is None:
        keys = f"{good_keys} {'key is' if good_keys == 1 else 'keys are'} good"
        yield f"Keys: {keys}; make another: {_command()} keys create"
        return
    every = [endpoint for found in catalog.endpoints.values() for endpoint in found]
    model = catalog.default_model or (likeliest(every).model.slug if every else "fake/echo")
    yield ""
    yield f"Your API key, shown only now: {new_key.text}"
    yield "Try it:"
    yield ""
    yield f"  curl {address}/api/v1/responses \\"
    yield f"    -H 'Authorization: Bearer {new_key.text}' -H 'Content-Type: application/json' \\"
    yield f'    -d \'{{"model": "{model}", "input": "Hello!"}}\''
    yield ""


def _command() -> str:
    """Name the command as it can be typed where this was started: not every shell finds it by its name."""
    started = sys.argv[0]
    if Path(started).name != _NAME:
        return f"{sys.executable} -m {_NAME}"
    found = shutil.which(_NAME)
    return _NAME if found is not None and Path(found).resolve() == Path(started).resolve() else started


def _key_file(settings: Settings) -> Path:
    database = sqlite_path(settings.store.url) or Path("trunkline.db")  # where one that is no file was asked for
    return database.with_name(f"{database.name}.first-key").resolve()
