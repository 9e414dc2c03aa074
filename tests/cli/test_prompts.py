"""`trunkline prompts`: templates come in by standard input, are read as requests are, and go out as they came in."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Ran, Run
from trunkline.accounts.opening import open_keys
from trunkline.settings.sections import Settings
from trunkline.store.templates import MAX_BYTES

TEMPLATE = {
    "instructions": "Answer in {{language}}.",
    "input": [{"role": "user", "content": "Süm up: {{text}}"}],
    "variables": {"text": {}, "language": {"default": "English"}},
}

Add = Callable[..., Ran]


@pytest.fixture
def add(run: Run, monkeypatch: pytest.MonkeyPatch) -> Add:
    """Add a template in a folder with a database; it is bytes as they are, else made JSON."""
    database, _ = open_keys(Settings())
    asyncio.run(database.close())

    def add(id: str, template: Any, *words: str) -> Ran:
        data = template if isinstance(template, bytes) else json.dumps(template, ensure_ascii=False).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        ran: Ran = run("prompts", "add", id, *words)
        return ran

    return add


def document(ran: Ran) -> Any:
    assert ran.code == 0, ran
    return json.loads(ran.out)


def refusal(ran: Ran) -> tuple[str, str]:
    assert ran.out == "", ran
    error = json.loads(ran.err)["error"]
    return error["code"], error["message"]


def test_a_template_is_added_listed_shown_and_removed(add: Add, run: Run) -> None:
    assert document(add("digest", TEMPLATE, "--json")) == {"id": "digest", "version": "1"}
    assert document(add("digest", {"input": "Hi"}, "--json")) == {"id": "digest", "version": "2"}
    assert document(add("A.b:c_d-1", {"input": "Hi"}, "--json"))["version"] == "1"
    listed = document(run("prompts", "list", "--json"))["prompts"]
    assert [(each["id"], each["version"]) for each in listed] == [("A.b:c_d-1", "1"), ("digest", "1"), ("digest", "2")]
    assert all(each["created_at"].endswith("Z") for each in listed)
    assert document(run("prompts", "show", "digest", "--json"))["template"] == {"input": "Hi"}
    shown = document(run("prompts", "show", "digest@1", "--json"))
    assert (shown["id"], shown["version"], shown["template"]) == ("digest", "1", TEMPLATE)
    assert document(run("prompts", "remove", "digest@1", "--json")) == {"id": "digest", "removed": ["1"]}
    assert document(add("digest", TEMPLATE, "--json"))["version"] == "3"
    assert document(run("prompts", "remove", "digest", "--json")) == {"id": "digest", "removed": ["2", "3"]}
    assert document(add("digest", TEMPLATE, "--json"))["version"] == "4"


def test_people_are_told_it_in_lines_and_what_is_shown_can_be_added(add: Add, run: Run) -> None:
    assert add("digest", TEMPLATE).out.split() == ["id", "digest", "version", "1"]
    shown = run("prompts", "show", "digest").out
    assert "Süm up" in shown
    assert document(add("digest", shown.encode(), "--json"))["version"] == "2"
    assert run("prompts", "show", "digest").out == shown
    head, first, second = (line.split() for line in run("prompts", "list").out.splitlines())
    assert head == ["ID", "VERSION", "ADDED"]
    assert (first[:2], second[:2]) == (["digest", "1"], ["digest", "2"])
    assert run("prompts", "remove", "digest@2").out.split() == ["id", "digest", "removed", "2"]


@pytest.mark.parametrize("name", ["none", "digest@9", "digest@", "digest@1.0", "digest@latest", "digest@1@1", "@1"])
@pytest.mark.parametrize("command", ["show", "remove"])
def test_what_is_not_there_is_told(command: str, name: str, add: Add, run: Run) -> None:
    add("digest", TEMPLATE)
    code, message = refusal(run("prompts", command, name, "--json"))
    assert (code, message) == ("not_found", f"there is no template {name!r}; see `trunkline prompts list`")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (b"", "The template is empty; send a JSON object."),
        (b'{"input": "\xff"}', "The template is not UTF-8."),
        (b"[]", "The template must be a JSON object, not an array."),
        (b'{"input": "a", "input": "b"}', 'The key "input" occurs twice in one object of the template.'),
        ({"input": "Hi {{name}}"}, 'input[0].content[0].text has "{{name}}", which is not among the variables.'),
        ({"input": [{"role": "root", "content": "x"}]}, "input[0].role must be one of "),
        ({"messages": []}, "messages is not known here; known are input, instructions, variables."),
    ],
    ids=range(7),
)
def test_what_no_request_can_use_is_refused(template: Any, message: str, add: Add, run: Run) -> None:
    code, told = refusal(add("digest", template, "--json"))
    assert code == "bad_template"
    assert told.startswith(message)
    assert document(run("prompts", "list", "--json")) == {"prompts": []}


def test_a_template_has_a_bound(add: Add) -> None:
    most = MAX_BYTES - len('{"input": ""}')
    assert document(add("digest", {"input": "x" * most}, "--json"))["version"] == "1"
    assert refusal(add("digest", {"input": "x" * (most + 1)}, "--json"))[0] == "too_large"


@pytest.mark.parametrize("id", ["", "a@1", "a b", "-a", "é", "a" * 65, "a/b", "a\n"])
def test_an_id_that_nobody_could_name_is_refused(id: str, add: Add) -> None:
    ran = add(id, TEMPLATE, "--json") if not id.startswith("-") else add("--json", TEMPLATE, "--", id)
    assert refusal(ran)[0] == "bad_id"


def test_without_a_database_none_is_made(run: Run) -> None:
    assert "there is no database" in run("prompts", "list").err
