"""Where a chat client wrote what a request says: in which message, under which name.

It says no more than is certain: of a link to a file only the part, since several members may hold one.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from trunkline.protocol.paths import Paths
from trunkline.protocol.reading import Step, spelled_path

_OF_PARTS: Final[dict[tuple[Step, ...], tuple[Step, ...]]] = {
    ("image_url",): ("image_url",),
    ("video_url",): ("video_url",),
    ("file_data",): ("file", "file_data"),
    ("input_audio", "format"): ("input_audio", "format"),
}


class ChatPaths(Paths, frozen=True):
    """`firsts` are the places that the first items of the messages have; None where each message is one item.

    `limit` and `tools` are the members that say how long an answer may be, and which tools there are.
    """

    firsts: tuple[int, ...] | None = None
    limit: str = "max_completion_tokens"
    tools: str = "tools"

    def spelled(self, *steps: Step) -> str:
        match steps:
            case ("input", int() as item, *inside):
                return spelled_path(("messages", *self._message(item), *_in_message(tuple(inside))))
            case ("input", *_):
                return "messages"
            case ("max_output_tokens",):
                return self.limit
            case ("tools",):
                return self.tools
            case _:
                return spelled_path(steps)

    def _message(self, item: int) -> tuple[int, ...]:
        return (item if self.firsts is None else bisect_right(self.firsts, item) - 1,)


CHAT_PATHS: Final = ChatPaths()


def _in_message(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps within an item as those within its message, which of a picture of the assistant's are not known."""
    match steps:
        case ("content" | "output", int() as part, *member):
            return ("content", part, *_OF_PARTS.get(tuple(member), ()))
        case _:
            return ()
