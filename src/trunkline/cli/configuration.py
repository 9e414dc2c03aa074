"""From the settings file and the environment to settings: the reading that `settings/` leaves to its caller."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from trunkline.settings.reading import Layer, SettingsError, Sources, build_settings, read_sources, with_store_url
from trunkline.settings.sections import Settings

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Settings file. Default: $TRUNKLINE_CONFIG, else ./trunkline.toml."
    ),
]
"""The option that every command has."""

DEFAULT_FILE = Path("trunkline.toml")
FILE_VARIABLE = "TRUNKLINE_CONFIG"
_SQLITE = "sqlite:///"


def read_settings(config: Path | None, command_line: Layer | None = None) -> tuple[Settings, Sources]:
    """Read the settings in force: command line, environment, file, default.

    The file is the one given, else the one `TRUNKLINE_CONFIG` names, else `./trunkline.toml` if there is one. A
    database with a relative name is looked for from its folder. Raises SettingsError.
    """
    path, text = _read_file(config)
    sources = read_sources(
        command_line=command_line,
        environ=os.environ,
        file_text=text,
        file_name=str(path),
    )
    return _placed(build_settings(sources), path.parent), sources


def _placed(settings: Settings, folder: Path) -> Settings:
    """Have a relative database beside the settings file, so that commands find it wherever they are typed."""
    name = settings.store.url.removeprefix(_SQLITE)
    if folder == Path() or name == settings.store.url or name.startswith(("/", ":")) or "?" in name:
        return settings
    # One that is here and not there was made when a name was looked for from where the gateway was started.
    if Path(name).exists() and not (folder / name).exists():
        return settings
    return with_store_url(settings, f"{_SQLITE}{folder / name}")


def _read_file(config: Path | None) -> tuple[Path, str | None]:
    named = config or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    path = named or DEFAULT_FILE
    try:
        return path, path.read_text("utf-8")
    except FileNotFoundError:
        if named is None:
            return path, None
        raise SettingsError([f"there is no file {path}; name another with --config, or leave it out"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path} is not UTF-8 text; save it as UTF-8"]) from None
    except OSError as error:
        raise SettingsError([f"cannot read {path}: {error.strerror}; let this user read it"]) from None
