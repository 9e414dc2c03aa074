"""The options that say what an account or a key may ask for, the same for every command that makes or changes one.

They are added to a command here, and what is given to them comes to it as one mapping of terms (`accounts/terms.py`),
in which a term that is taken away is None. A document is given as JSON, or as the name of a file that holds it.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from trunkline.cli.documents import failing_as
from trunkline.settings.reading import SettingsError

Command = Callable[..., None]
Terms = Mapping[str, Any]

MAX_RATE: Final = 10**12


class TermOption(NamedTuple):
    """One option: the term it sets, what it is called, the type of what is given to it, and what it means."""

    term: str
    flag: str
    kind: Any
    metavar: str | None
    words: str


_NAMES = list[str] | None
_COUNT = int | None
_TEXT = str | None
_DOCUMENT = "document"

OPTIONS: Final = (
    TermOption("models", "--models", _NAMES, "GLOB", "Only these models, as openai/*; may be repeated."),
    TermOption("default_model", "--default-model", _TEXT, "MODEL", "The model of a request that names none."),
    TermOption("providers", "--providers", _NAMES, "SLUG", "Only these providers; may be repeated."),
    TermOption("ignored_providers", "--ignore-providers", _NAMES, "SLUG", "Never these providers; may be repeated."),
    TermOption("regions", "--regions", _NAMES, "CODE", "Only where prompts are worked on in these; may be repeated."),
    TermOption("zdr", "--zdr", bool, "", "Only endpoints that keep nothing of a prompt."),
    TermOption(
        "data_collection",
        "--data-collection",
        _TEXT,
        "deny|allow",
        "deny: only endpoints that do not train on prompts.",
    ),
    TermOption("rpm", "--rpm", _COUNT, "N", "Requests a minute."),
    TermOption("tpm", "--tpm", _COUNT, "N", "Tokens a minute."),
    TermOption("rpd", "--rpd", _COUNT, "N", "Requests a day."),
    TermOption("tpd", "--tpd", _COUNT, "N", "Tokens a day."),
    TermOption("concurrency", "--concurrency", _COUNT, "N", "Requests under way at once."),
    TermOption(
        "model_rates", "--model-rates", _DOCUMENT, "JSON", 'Rates of single models, as {"openai/*": {"rpm": 60}}.'
    ),
    TermOption(
        "preferences",
        "--preferences",
        _DOCUMENT,
        "JSON",
        "The provider object of a request that has none, or its file.",
    ),
    TermOption("plugins", "--plugins", _DOCUMENT, "JSON", "The plugins of a request that has none, or their file."),
    TermOption(
        "moderation",
        "--moderation",
        _TEXT,
        "block|pass|always",
        "What happens where the moderator is down; always: each request is moderated, or blocked.",
    ),
)

UNSET_WORDS: Final = "Take this away again, as models, rpm or zdr; may be repeated."


def with_terms(command: Command) -> Command:
    """Add the options to a command, which gets what is given to them as `terms`; its last two are of every command."""
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.name != "terms"]
    added = [_parameter(option) for option in OPTIONS]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        terms = {}
        with failing_as(given["as_json"]):
            for option in OPTIONS:
                if (value := given.pop(option.term)) is not None and value is not False and value != []:
                    terms[option.term] = _document(option.flag, value) if option.kind is _DOCUMENT else value
        command(terms=terms, **given)

    # `eval_str` reads annotations that are text, and those of what is added are none.
    run.__signature__ = signature.replace(parameters=[*own[:-2], *added, *own[-2:]])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
    return run


def without(terms: Terms, unset: list[str] | None, known: Mapping[str, str]) -> tuple[dict[str, Any], set[str]]:
    """Take away what `--unset` names: the terms with None for each, and which members of `known` are to go.

    `known` are those of an account or key that are no terms, by what they are called here. Raises SettingsError for
    what there is not, and for what is set and taken away at once.
    """
    changed, gone = dict(terms), set()
    names = {option.flag.removeprefix("--"): option.term for option in OPTIONS}
    for name in unset or ():
        if name in known:
            gone.add(known[name])
        elif name not in names:
            raise SettingsError([f"--unset knows no {name!r}, only {', '.join([*known, *names])}"])
        elif changed.setdefault(names[name], None) is not None:
            raise SettingsError([f"--{name} is set and unset at once; leave one out"])
    return changed, gone


def _parameter(option: TermOption) -> inspect.Parameter:
    is_flag = option.kind is bool
    bounds = {"min": 1, "max": MAX_RATE} if option.kind == _COUNT else {}
    given = typer.Option(option.flag, help=option.words, metavar=option.metavar, **bounds)  # type: ignore[arg-type]
    kind = _TEXT if option.kind is _DOCUMENT else option.kind
    return inspect.Parameter(
        option.term,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if is_flag else None,
        annotation=Annotated[kind, given],
    )


def _document(flag: str, given: str) -> Any:
    text = given
    if given.lstrip()[:1] not in ("{", "["):
        try:
            text = Path(given).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                [f"{flag}: cannot read {given} ({type(error).__name__}); give JSON or a file"]
            ) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{flag}: not valid JSON: {error}"]) from None
