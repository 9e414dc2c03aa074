"""Places at which a test can have the process killed, to see what is left; unarmed they cost a look at an empty dict.

`TRUNKLINE_FAILPOINT=commit.before:3` kills this process, as SIGKILL does, when it is at that place for the third time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "TRUNKLINE_FAILPOINT"

OF_STORE: Final[Mapping[str, str]] = {
    "batch.begun": "a transaction of the writer is open, and nothing is written",
    "settle.freed": "the holds of settles are deleted",
    "settle.entered": "… and their entries are there",
    "settle.recorded": "… and their records",
    "settle.counted": "… and those in the roll-ups",
    "hold.added": "holds are there, and their budgets as before",
    "hold.moved": "… and their budgets are moved",
    "claim.added": "what is claimed with idempotency keys is there",
    "claim.ended": "what became of it is there, and the answers",
    "commit.before": "any transaction is complete, and not committed",
    "commit.after": "any transaction is committed, and nobody is told",
    "hold.answered": "those who asked for holds are told, and none has run on",
    "settle.answered": "those whose requests ended are told, and none has run on",
    "note.written": "a record that came alone is noted in the journal, and nobody is told",
    "journal.before": "settles are to be put into the journal",
    "journal.half": "a part of them is in the file",
    "journal.written": "all of them are in the file, and not on the disk",
    "journal.synced": "they are on the disk, and nobody is told",
    "replay.read": "settles are read from this boot's journal",
    "replay.posted": "… and committed, and still in the journal",
    "replay.dropped": "… and no longer in the journal",
    "adopt.begun": "the journal of a dead process is locked",
    "adopt.posted": "… some of it is committed, and still in it",
    "adopt.done": "… all of it is committed, and the file is there",
    "sweep.found": "holds of dead boots are found",
    "sweep.expired": "… and expired, and not committed",
    "retention.deleted": "old records are deleted, and that is not committed",
    "close.drained": "all is committed, and the boot is still noted",
}
OF_REQUESTS: Final[Mapping[str, str]] = {
    "reserve.before": "a request is planned, and nothing held for it",
    "reserve.held": "credit is held, and nothing sent upstream",
    "dispatch.sent": "the request is sent upstream, and of the answer only the head is here",
    "answer.begun": "something of the answer is heard",
    "answer.over": "all of the answer is heard, and nothing settled",
    "end.before": "the record is made, and not given to the writer",
    "end.settled": "it is settled, and the client has not seen the end",
    "end.told": "the client has been told the end",
    "topup.entered": "a top-up is entered, and its budget as before",
}
POINTS: Final[Mapping[str, str]] = {**OF_STORE, **OF_REQUESTS}
"""Every place, and what has happened there."""

armed: dict[str, int] = {}
"""Which places are armed, and for which passage. Where every request comes by, this is looked at before `reach`."""


def reach(name: str) -> None:
    """Say that the process is at a place; it ends here when this is the passage that was armed."""
    if armed and name in armed:
        armed[name] -= 1
        if armed[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def is_armed(name: str) -> bool:
    """Whether a place is armed at all, for one that can be reached only by doing something otherwise."""
    return name in armed


def arm(text: str) -> None:
    """Arm places, as `NAME:PASSAGE,…`, in place of those that were. Raises ValueError for one that there is none of."""
    asked: dict[str, int] = {}
    for place in filter(None, text.split(",")):
        name, _, passage = place.partition(":")
        if name not in POINTS:
            raise ValueError(f"{VARIABLE}: there is no place {name!r}")
        asked[name] = int(passage or 1)
    armed.clear()
    armed.update(asked)


arm(os.environ.get(VARIABLE, ""))
