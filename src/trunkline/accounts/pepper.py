"""The secret that keys are hashed with: taken from the settings, else made once and kept beside the database.

It is not kept inside the database, so that a copy of the tables alone cannot be used to test guesses.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from trunkline.settings.fields import SecretSource
from trunkline.settings.reading import SettingsError

MIN_LENGTH = 16


def read_pepper(
    source: SecretSource | None, database: Path | None, environ: Mapping[str, str], *, makes: bool = True
) -> bytes:
    """Read the pepper, or make it at the first start; `database` is None for one in memory.

    Without `makes` nothing is written, and the pepper that would be made is empty. Raises SettingsError.
    """
    if source is not None:
        return given_pepper(source, "store.pepper", environ)
    if database is None:
        return secrets.token_bytes(32)
    path = database.with_name(f"{database.name}.pepper")
    if not path.exists() and not database.exists():
        if not makes:
            return b""
        make_secret_file(path)
    try:
        text = path.read_text("ascii").strip()
    except FileNotFoundError:
        problem = f"{path} is missing, and without it no key in {database} is recognised"
        raise SettingsError([f"{problem}; put it back, or set store.pepper, or move the database away"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"cannot read {path} ({type(error).__name__}); let this user read it"]) from None
    return _checked(text, str(path))


def reveal(source: SecretSource, environ: Mapping[str, str]) -> str:
    """Read a secret from the place the operator named.

    Raises SettingsError when it cannot be read or is blank.
    """
    if source.env is not None:
        text, place = environ.get(source.env, ""), source.env
    elif source.file is not None:
        place = source.file
        try:
            text = Path(source.file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([f"cannot read {place} ({type(error).__name__}); put the secret there"]) from None
    else:
        text, place = (source.inline.reveal() if source.inline is not None else ""), "the settings"
    if not text.strip():
        raise SettingsError([f"the secret from {place} is empty; set it"])
    return text.strip()


def given_pepper(source: SecretSource, place: str, environ: Mapping[str, str]) -> bytes:
    """Read a pepper that a setting, whose name is `place`, tells where to find. Raises SettingsError."""
    return _checked(reveal(source, environ), place)


def _checked(text: str, place: str) -> bytes:
    if len(text) < MIN_LENGTH:
        raise SettingsError([f"{place} is too short for a pepper; use at least {MIN_LENGTH} random characters"])
    return text.encode()


def make_secret_file(path: Path) -> None:
    """Write 32 new bytes in hexadecimal under a name in one step: of two nodes that start together, one wins.

    Both read it then. Raises SettingsError.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError as error:
        reason = f"{type(error).__name__}: {error.strerror}"
        raise SettingsError([f"cannot write {path} ({reason}); create its directory or set store.url"]) from None
    finally:
        # Where nothing can be written, nothing can be removed either; the reason is told already.
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
