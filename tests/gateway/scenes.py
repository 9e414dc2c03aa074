"""Scenes that do little but wait, played at the same time: all of them together last as long as the longest.

Each has what it needs to itself, and is a test by its own name, which waits for its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec

Given = ParamSpec("Given")
PATIENCE_S = 90.0


class Scenes(Generic[Given]):
    """The scenes of a file, by name."""

    def __init__(self) -> None:
        self._scenes: dict[str, Callable[Given, None]] = {}

    @property
    def names(self) -> list[str]:
        return list(self._scenes)

    def add(self, scene: Callable[Given, None]) -> Callable[Given, None]:
        """Add a function, as its decorator."""
        self._scenes[scene.__name__] = scene
        return scene

    def play(self, *given: Given.args, **named: Given.kwargs) -> Iterator[Callable[[str], None]]:
        """Begin all, and give what waits for the end of one and raises what went wrong in it."""
        with ThreadPoolExecutor(len(self._scenes)) as pool:
            playing = {name: pool.submit(scene, *given, **named) for name, scene in self._scenes.items()}
            yield lambda name: playing[name].result(PATIENCE_S)
