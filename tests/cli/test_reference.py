"""The reference of the settings is complete and up to date."""

from __future__ import annotations

import ast
from pathlib import Path

from trunkline.cli.reference import setting_classes, settings_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == settings_page(), "run: trunkline docs settings > docs/reference/settings.md"


def test_every_setting_says_what_it_means() -> None:
    for node in setting_classes().values():
        if not node.name.endswith("Settings") or node.name in ("Settings", "PluginsSettings"):
            continue
        assert ast.get_docstring(node), node.name
        for field, below in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
            if isinstance(field, ast.AnnAssign):
                assert isinstance(below, ast.Expr), f"{node.name}.{ast.unparse(field.target)} has no docstring"


def test_defaults_are_shown_with_their_unit() -> None:
    page = settings_page()
    assert "| `max_body` | size | `20 MB` | The largest request body. |" in page
    assert "| `model` | text | required |" in page
    assert "## `[routing.timeouts]`" in page
    assert "## `[[endpoints]]`" in page
    assert "## `[providers.<slug>.data_policy]`" in page
