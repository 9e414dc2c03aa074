"""The master keys that provider keys are sealed with: those of the settings, else one made beside the database.

Each goes by an id that stands with what it sealed. The first of the settings seals; all of them open, so that one can
take the place of another. The file is made when the first provider key is kept, and read whenever its key is wanted:
a gateway that was started before knows it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trunkline.accounts.pepper import make_secret_file, reveal
from trunkline.credentials.sealing import MasterKey
from trunkline.settings.fields import SecretSource
from trunkline.settings.reading import SettingsError
from trunkline.settings.secret import Secret

MADE_ID: Final = "local"
"""The id of the key in the file beside the database."""


class MasterKeys:
    """The master keys of one store."""

    def __init__(self, named: Mapping[str, SecretSource], database: Path | None, environ: Mapping[str, str]) -> None:
        """Read those that the settings name, by id; `database` is None for one that is no file.

        Raises SettingsError.
        """
        problems: list[str] = []
        self._named = {id: found for id, source in named.items() if (found := _read(id, source, environ, problems))}
        if problems:
            raise SettingsError(problems)
        self._path = None if database is None else database.with_name(f"{database.name}.master")

    def find(self, id: str) -> MasterKey | None:
        """The key of this id, None where it is not there. Raises SettingsError for a file that cannot be used."""
        if id in self._named or id != MADE_ID or self._path is None or not self._path.exists():
            return self._named.get(id)
        return _read_made(self._path)

    def sealing(self, *, may_make: bool) -> MasterKey:
        """The key to seal with; without any in the settings that of the file, made if need be and allowed.

        Raises SettingsError where there is none.
        """
        if self._named:
            return next(iter(self._named.values()))
        if self._path is None:
            # Beside a database in memory there is no place, and beside one that nodes share none that all of them see.
            problem = "provider keys need a master key of yours here, the same on every node"
            advice = 'set store.master_keys.first = { env = "MASTER_KEY" } to what `openssl rand -base64 32` gives'
            raise SettingsError([f"{problem}; {advice}"])
        if not self._path.exists():
            if not may_make:
                # A new one would be told from the lost one by nobody, and what that sealed would stay shut for good.
                problem = f"{self._path} is missing, and provider keys were sealed with it"
                raise SettingsError([f"{problem}; put it back, or remove those keys with `trunkline byok remove`"])
            make_secret_file(self._path)
        return _read_made(self._path)


def _read(id: str, source: SecretSource, environ: Mapping[str, str], problems: list[str]) -> MasterKey | None:
    try:
        return _checked(MasterKey(id, Secret(reveal(source, environ))), f"store.master_keys.{id}")
    except SettingsError as error:
        problems += error.problems
        return None


def _read_made(path: Path) -> MasterKey:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"cannot read {path} ({type(error).__name__}); let this user read it"]) from None
    return _checked(MasterKey(MADE_ID, Secret(text)), str(path))


def _checked(key: MasterKey, place: str) -> MasterKey:
    try:
        key.material  # noqa: B018  # to find out whether it can be read
    except ValueError as error:
        raise SettingsError([f"{place}: {error}"]) from None
    return key
