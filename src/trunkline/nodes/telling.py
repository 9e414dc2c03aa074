"""What a command tells running gateways: a process of its own, which comes to the board for one message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from trunkline.accounts.opening import counters_url
from trunkline.gossip import CHANNEL, Changed, Message, Relisted, encode
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.board import Board
from trunkline.store.opening import make_board


def tell_changed(settings: Settings, owner_ids: Sequence[str]) -> None:
    """Tell which keys or accounts were changed in the store.

    Where the board cannot be told nobody is: gateways see within five seconds what is in the store.
    """
    _tell_all(settings, Changed(tuple(owner_ids)))


def tell_relisted(settings: Settings) -> None:
    """Tell that the store keeps another list of models; untold, gateways see it within five seconds too."""
    _tell_all(settings, Relisted())


def _tell_all(settings: Settings, message: Message) -> None:
    with contextlib.suppress(SettingsError):
        url = counters_url(settings)
        if url is not None:
            asyncio.run(_tell(make_board(url, "command", _ignore), encode(message)))


async def _tell(board: Board, message: bytes) -> None:
    async with board:
        board.tell(CHANNEL, message)


def _ignore(event: str, detail: str) -> None:
    """A command has done its work; what is wrong with the board the gateways say."""
