"""The shipped rows laid under an operator's settings, in surroundings that a test makes up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.resources import files

from trunkline.catalog.gather import Known, Lists, gather
from trunkline.catalog.rows import ModelsFile
from trunkline.catalog.standings import DIALECTS, SCHEMES, ReadFile, Surroundings
from trunkline.settings.sections import Settings

PROVIDERS = files("trunkline.catalog").joinpath("providers.toml").read_text("utf-8")
MODELS = files("trunkline.catalog").joinpath("models.toml").read_text("utf-8")
NAMES = files("trunkline.catalog").joinpath("names.toml").read_text("utf-8")


def known(
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    *,
    read_file: ReadFile = lambda path: path,
    models: str = MODELS,
    listed: ModelsFile | None = None,
    dialects: Collection[str] = DIALECTS,
    schemes: Collection[str] = SCHEMES,
) -> Known:
    """Gather what is known; `models` is written by hand and laid over `listed`, the merged public lists."""
    around = Surroundings(environ or {}, read_file, dialects, schemes)
    return gather(PROVIDERS, settings, around, Lists(by_hand=models, names=NAMES, listed=listed or ModelsFile()))
