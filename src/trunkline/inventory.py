"""What can be called: the shipped lists, the fetched one, the settings and the environment → the catalogue.

Which list of models is in force is said here, and nowhere else.

Whether anybody answers is not known here, and nothing is loaded that could ask.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from trunkline.catalog.engines import Engine, find_engines
from trunkline.catalog.entries import Catalog
from trunkline.catalog.gather import Known, Lists, gather, gather_again, read_models
from trunkline.catalog.load import catalog_of
from trunkline.catalog.moderators import Moderator, find_moderators
from trunkline.catalog.ocr_engines import OcrEngine, find_ocr_engines
from trunkline.catalog.quality import Quality, read_quality
from trunkline.catalog.renewal import age_of
from trunkline.catalog.rows import ModelsFile
from trunkline.catalog.standings import DIALECTS, Surroundings
from trunkline.credentials.schemes import SCHEMES
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.lists import read_list, unpack_list
from trunkline.store.rows import ListRow

_SHIPPED: Final = Path(__file__).parent / "catalog"


class InForce(NamedTuple):
    """The list of models that is in force: where it is, why it and no other, and what is wrong with those before it.

    `stored` is the digest of the store's list; empty where there is none. `unusable` says why that one cannot be used.
    """

    file: ModelsFile
    where: str
    why: str
    notes: tuple[str, ...] = ()
    stored: str = ""
    unusable: str = ""


def load_catalog(settings: Settings) -> Catalog:
    """Lay the operator's entries over the shipped ones, with the credentials of this machine.

    Raises SettingsError.
    """
    return catalog_of(gather_known(settings))


def relist_catalog(catalog: Catalog, settings: Settings, stored: ListRow | None) -> Catalog:
    """Make a catalogue anew beside another list in the store, with providers and credentials as they are in it.

    Raises ValueError where that list cannot be used, and SettingsError.
    """
    found = choose_list(settings, stored)
    if found.unusable:
        raise ValueError(found.unusable)
    return catalog_of(gather_again(catalog, settings, _lists(found)))


def gather_known(settings: Settings) -> Known:
    """Gather everything that is known of providers and models, on or off.

    Raises SettingsError.
    """
    return gather(_shipped_text("providers.toml"), settings, _surroundings(), _lists(models_in_force(settings)))


def gather_providers(settings: Settings) -> Known:
    """Gather what is known of providers alone, without the shipped models. Raises SettingsError."""
    return gather(_shipped_text("providers.toml"), settings, _surroundings(), Lists())


def _lists(found: InForce) -> Lists:
    return Lists(
        by_hand=_shipped_text("models.toml"),
        names=_shipped_text("names.toml"),
        listed=found.file,
        notes=found.notes,
        stored=found.stored,
    )


def _shipped_text(name: str) -> str:
    return (_SHIPPED / name).read_text("utf-8")


def load_engines(settings: Settings) -> dict[str, Engine]:
    """Look for the keys of the search engines that the settings name."""
    return find_engines(settings.search, _surroundings())


def load_moderators(settings: Settings) -> dict[str, Moderator]:
    """Look for the keys of the engines that judge texts."""
    return find_moderators(settings.moderation, _surroundings())


def load_ocr_engines(settings: Settings) -> dict[str, OcrEngine]:
    """Look for the keys of the engines that read scanned files."""
    return find_ocr_engines(settings.ocr, _surroundings())


def load_quality() -> Mapping[str, Quality]:
    """Read what was published of how well models do."""
    return read_quality(_shipped_text("quality.toml"))


def _surroundings() -> Surroundings:
    return Surroundings(
        environ=os.environ,
        read_file=lambda path: Path(path).read_text("utf-8"),
        dialects=frozenset(DIALECTS),
        schemes=frozenset(SCHEMES),
    )


def shipped_models() -> ModelsFile:
    """Read the list of models that came with this version."""
    return read_models((_SHIPPED / "models.json").read_bytes())


def models_in_force(settings: Settings) -> InForce:
    """Choose the list as `choose_list` does, beside what the store keeps now; where it cannot be read it has none."""
    try:
        return choose_list(settings, read_list(settings.store.url))
    except SettingsError as error:
        return choose_list(settings, None, error.problems[0])


def choose_list(settings: Settings, stored: ListRow | None, unread: str = "") -> InForce:
    """Choose the newest of the store's list, the one in `catalog.file` and the shipped one; of equals, in this order.

    `unread` says why the store could not be asked.
    """
    path = Path(settings.catalog.file)
    in_store = _Candidate("in the store", None, unread)
    if stored is not None:
        in_store = _read(in_store.where, partial(unpack_list, stored))
    shipped = _Candidate("that came with this version", shipped_models())
    candidates = (in_store, _read(f"in {path}", path.read_bytes), shipped)
    place = max((0, 1, 2), key=lambda place: candidates[place].rank)
    chosen, passed = candidates[place], candidates[:place]
    return InForce(
        file=chosen.file or ModelsFile(),
        where=chosen.where,
        why="; ".join(each.reason for each in passed) or "no other is newer",
        notes=tuple([f"the list {each.where} is not used: {note}" for each in passed if (note := each.note(chosen))]),
        stored="" if stored is None else stored.digest,
        unusable="" if stored is None else in_store.problem,
    )


class _Candidate(NamedTuple):
    """A list that may be in force. Without a file it cannot be used, because of its `problem`, or is not there."""

    where: str
    file: ModelsFile | None
    problem: str = ""

    @property
    def rank(self) -> tuple[bool, str]:
        """Of which the highest is in force."""
        return (self.file is not None, "" if self.file is None else age_of(self.file))

    @property
    def reason(self) -> str:
        """Why another is in force."""
        if self.problem:
            return f"the one {self.where} cannot be used"
        return f"none is {self.where}" if self.file is None else f"the one {self.where} is older"

    def note(self, chosen: _Candidate) -> str:
        """What the operator should know of it; empty where it is only not there."""
        return self.problem or (f"the list {chosen.where} is newer" if self.file is not None else "")


def _read(where: str, take: Callable[[], bytes]) -> _Candidate:
    try:
        return _Candidate(where, read_models(take()))
    except FileNotFoundError:
        return _Candidate(where, None)
    except (OSError, ValueError) as error:
        return _Candidate(where, None, f"{error}; `trunkline catalog update` fetches another")
