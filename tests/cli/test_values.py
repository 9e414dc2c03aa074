"""Values of options come to the same as by typer's own way, which is slower to load."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer._coercion import build_runtime_param, resolve_type_descriptor
from typer.models import OptionInfo

from trunkline.cli.values import _Plain

TEXTS = (
    "",
    "a",
    "a b",
    "trunkline.toml",
    "ä",
    "7",
    "0007",
    "-7",
    "65536",
    "9" * 30,
    "٣",
    "\udc80",
    "\n",
    "1.5",
    "true",
)
VALUES = [None, 0, 7, ("a", "b"), ["a", "b"], (), [], ("a", "\udc80"), ["a", "\udc80"], *TEXTS]


def outcome(read: Any, value: Any, *, is_multiple: bool) -> Any:
    param = SimpleNamespace(multiple=is_multiple, nargs=1)
    try:
        return read.coerce(value, param=param, ctx=SimpleNamespace())
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("form", [str, Path, int, bool, list[str]], ids=str)
def test_each_value_is_read_as_typer_reads_it(form: Any) -> None:
    bounds = OptionInfo(min=0, max=65535) if form is int else OptionInfo()
    descriptor = resolve_type_descriptor(form, bounds)
    for value in VALUES:
        ways = (_Plain(descriptor), build_runtime_param(descriptor))
        ours, typers = (outcome(way, value, is_multiple=form == list[str]) for way in ways)
        assert (type(ours), ours) == (type(typers), typers), value
