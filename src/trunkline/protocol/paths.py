"""Where a client wrote what a request says, in the words of its API: what an error names that is found after parsing.

Steps lead through a `Request`, as `"input", 2, "content", 0`; each face says how that is spelled in its API, as far as
it is certain. It does not say what is wrong there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from trunkline.protocol.reading import Step, spelled_path


class Paths(Struct, frozen=True):
    """Those of an API whose members and items are the request's own, as the Responses API's are.

    `truncates`: its clients can ask that an input which does not fit is made shorter.
    """

    truncates: bool = True

    def spelled(self, *steps: Step) -> str:
        """The path of what these steps lead to, from the outside in; of what holds it, where no more is certain."""
        return spelled_path(steps)


OWN_PATHS: Final = Paths()


class _Moved(Paths, frozen=True):
    """Those of an input of which items were put in or left out: `places` is where each was, if the client sent it.

    `else_in` is the member that the others came by. `parts` is the same for the parts of an item, by its place now.
    """

    inner: Paths = OWN_PATHS
    places: tuple[int | None, ...] | None = None
    else_in: str = "input"
    parts: Mapping[int, tuple[int, ...]] = {}

    def spelled(self, *steps: Step) -> str:
        match steps:
            case ("input", int() as item, *inside):
                place = item if self.places is None else self._place(item)
                if place is None:
                    return self.inner.spelled(self.else_in)
                match inside:
                    case (member, int() as part, *more) if item in self.parts:
                        inside = [member, self.parts[item][part], *more]
                return self.inner.spelled("input", place, *inside)
            case _:
                return self.inner.spelled(*steps)

    def _place(self, item: int) -> int | None:
        assert self.places is not None
        return self.places[item] if item < len(self.places) else None


def moved(paths: Paths, places: tuple[int | None, ...], *, else_in: str = "input") -> Paths:
    """The paths where the items of the input are those of these places before; None: the client sent no such item.

    `else_in` is the member by which it has that all the same.
    """
    return _Moved(paths.truncates, inner=paths, places=places, else_in=else_in)


def split(paths: Paths, parts: Mapping[int, tuple[int, ...]]) -> Paths:
    """The paths where the parts of some items, by the items' places, are of those places before."""
    return _Moved(paths.truncates, inner=paths, parts=parts)
