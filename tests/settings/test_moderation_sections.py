"""What an operator writes of moderation → settings, or a line for each mistake."""

from __future__ import annotations

import pytest

from tests.settings.test_plugin_sections import Case, read
from trunkline.settings.moderation_sections import DEFAULT_JUDGE_PROMPT
from trunkline.settings.reading import SettingsError

LIST = '[moderation.list]\nkind = "words"\nwords = ["x"]\n'
GUARD = '[moderation.guard]\nkind = "judge"\nmodel = "a/b"\n'


def test_all_kinds_are_read() -> None:
    openai = '[moderation.openai]\nkind = "openai"\napi_key = { env = "E" }\ntimeout = "3 s"\n'
    ours = '[moderation.ours]\nkind = "openai"\nbase_url = "http://10.0.0.7:8080/v1/"\nmodel = "guard"\n'
    more = '[plugins]\ndefaults = ["moderation"]\n[plugins.moderation]\nengine = "guard"\non_failure = "pass"\n'
    settings = read(openai + ours + LIST + GUARD + more)
    assert settings.moderation["openai"].timeout == 3
    assert settings.moderation["ours"].base_url == "http://10.0.0.7:8080/v1"
    assert settings.moderation["guard"].prompt == DEFAULT_JUDGE_PROMPT
    about = settings.plugins.moderation
    assert (about.engine, about.on_failure, about.output) == ("guard", "pass", False)
    assert read("").plugins.moderation.on_failure == "block"


MISTAKES = [
    Case(
        "an unknown kind",
        '[moderation.x]\nkind = "azure"',
        "t.toml:2: moderation.x.kind: input should be 'openai', 'judge' or 'words'",
    ),
    Case(
        "no key and no server of one's own",
        '[moderation.x]\nkind = "openai"',
        't.toml:1: moderation.x: it needs api_key, as { env = "OPENAI_API_KEY" }, or the base_url of a server without '
        "one",
    ),
    Case(
        "a judge without a model",
        '[moderation.x]\nkind = "judge"',
        't.toml:1: moderation.x: it needs model, as "meta-llama/llama-guard-4-12b"',
    ),
    Case("a list of nothing", '[moderation.x]\nkind = "words"', "t.toml:1: moderation.x: it needs words or patterns"),
    Case(
        "words for a judge",
        GUARD + 'words = ["x"]',
        "t.toml:1: moderation.guard: words is not for kind judge; leave it out",
    ),
    Case(
        "an address with the path of a question",
        '[moderation.x]\nkind = "openai"\nbase_url = "http://ours:1/v1/moderations"',
        "t.toml:3: moderation.x.base_url: leave out /moderations: the gateway adds the path of the engine",
    ),
    Case(
        "an address with a password",
        '[moderation.x]\nkind = "openai"\nbase_url = "http://me:geheim@ours:1"',
        "t.toml:3: moderation.x.base_url: write the whole address, as http://localhost:8080/v1, without user, "
        "password or parameters",
    ),
    Case(
        "a name that is none",
        LIST.replace("moderation.list", 'moderation."List!"'),
        "t.toml:1: moderation.List!: the name of an engine has lower-case letters, digits, hyphens and "
        "underscores only",
    ),
    Case(
        "several engines and none chosen",
        LIST + GUARD,
        "plugins.moderation.engine: there are several engines; set it to one of guard, list",
    ),
    Case(
        "an engine that there is not",
        LIST + '[plugins.moderation]\nengine = "guard"',
        "t.toml:5: plugins.moderation.engine: there is no [moderation.guard]; set it to one of list",
    ),
    Case(
        "a default without an engine",
        '[plugins]\ndefaults = ["moderation"]',
        "t.toml:2: plugins.defaults[0]: moderation needs an engine; add one, as [moderation.openai]",
    ),
]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.id)
def test_a_mistake_is_one_line_that_says_what_to_do(case: Case) -> None:
    with pytest.raises(SettingsError) as raised:
        read(case.text)
    assert raised.value.problems == (case.problem,)
