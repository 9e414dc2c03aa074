"""What this machine can call: the shipped lists, the fetched one, the settings and the environment → the catalogue.

Whether anybody answers is not known here, and nothing is loaded that could ask.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from trunkline.catalog.entries import Catalog
from trunkline.catalog.gather import Known, gather, read_models
from trunkline.catalog.load import catalog_of
from trunkline.catalog.renewal import age_of
from trunkline.catalog.rows import ModelsFile
from trunkline.catalog.standings import DIALECTS, Surroundings
from trunkline.credentials.schemes import SCHEMES
from trunkline.settings.sections import Settings


def load_catalog(settings: Settings) -> Catalog:
    """Lay the operator's entries over the shipped ones, with the credentials of this machine.

    Raises SettingsError.
    """
    return catalog_of(gather_known(settings))


def gather_known(settings: Settings) -> Known:
    """Gather everything that is known of providers and models, on or off.

    Raises SettingsError.
    """
    shipped = files("trunkline.catalog")
    listed, notes = models_in_force(settings)
    return gather(
        shipped.joinpath("providers.toml").read_text("utf-8"),
        shipped.joinpath("models.toml").read_text("utf-8"),
        settings,
        _surroundings(),
        listed,
        notes,
        shipped.joinpath("names.toml").read_text("utf-8"),
    )


def gather_providers(settings: Settings) -> Known:
    """Gather what is known of providers alone, without the shipped models. Raises SettingsError."""
    providers = files("trunkline.catalog").joinpath("providers.toml").read_text("utf-8")
    return gather(providers, "", settings, _surroundings())


def _surroundings() -> Surroundings:
    return Surroundings(
        environ=os.environ,
        read_file=lambda path: Path(path).read_text("utf-8"),
        dialects=frozenset(DIALECTS),
        schemes=frozenset(SCHEMES),
    )


def shipped_models() -> ModelsFile:
    """Read the list of models that came with this version."""
    return read_models(files("trunkline.catalog").joinpath("models.json").read_bytes())


def models_in_force(settings: Settings) -> tuple[ModelsFile, tuple[str, ...]]:
    """Choose the list that was fetched last, unless it cannot be read or the shipped one is newer; say so then."""
    shipped, path = shipped_models(), Path(settings.catalog.file)
    try:
        fetched = read_models(path.read_bytes())
    except FileNotFoundError:
        return shipped, ()
    except (OSError, ValueError) as error:
        return shipped, (f"{path} is not used: {error}; `trunkline catalog update` fetches another",)
    if age_of(fetched) < age_of(shipped):
        return shipped, (f"{path} is not used: the list that came with this version is newer",)
    return fetched, ()
