"""`trunkline route explain`: who would be asked for a request, in which order and why.

It plans with the code that serves, over the settings alone: no gateway runs, nothing is sent, and nothing is known of
how endpoints did lately. A running gateway, which knows that, answers POST /api/v1/responses/explain.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, Any

import typer

from trunkline.adapters.encoding.documents import for_all, rule_of
from trunkline.catalog.load import catalog_of
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.tree import tree_of
from trunkline.faces.responses.parse import parse
from trunkline.inventory import gather_known, load_quality
from trunkline.plugins.auto_router import AutoRouter
from trunkline.routing.explanation import Explanation, as_json, as_table
from trunkline.routing.health import Health
from trunkline.routing.plan import Planner
from trunkline.routing.policy import Policy
from trunkline.routing.refusal import Refused
from trunkline.routing.unconfigured import leaves_choice
from trunkline.settings.reading import SettingsError

ROUTE = typer.Typer(help="Find out which endpoints a request would be sent to.", no_args_is_help=True)
TREE = tree_of(ROUTE, "route")


@ROUTE.callback()
def root() -> None:
    pass


@ROUTE.command("explain")
def explain(
    request: Annotated[
        typer.FileBinaryRead, typer.Argument(metavar="FILE", help="The JSON body of a request; - reads it from stdin.")
    ],
    dice: Annotated[
        str, typer.Option(help="What the dice show, as 0.7,0.1: the same again give the same order.", metavar="NUMBERS")
    ] = "",
    print_json: Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")] = False,
    config: Config = None,
) -> None:
    """Print who would be asked for a request, in which order and why.

    And who would not. Ends with 1 when nobody may serve it.
    """
    settings, _ = read_settings(config)
    known = gather_known(settings)
    for note in known.notes:
        typer.echo(f"warning: {note}", err=True)
    policy = Policy(max_attempts=settings.routing.attempts)
    planner = Planner(catalog_of(known), Health(), chain(_shown(dice), _endless()).__next__, time.monotonic)
    asked = parse(request.read())
    if asked.prompt is not None:
        raise SettingsError(["prompt: a template is filled by a gateway that runs; ask its /api/v1/responses/explain"])
    chosen: Mapping[str, Any] | None = None
    try:
        if leaves_choice(asked, policy, planner.catalog):
            router = AutoRouter(settings.plugins.auto_router, load_quality())
            asked, noted = router.route(asked, policy, planner, remembers=False)
            chosen = noted["auto_router"]
        if rule_of(asked, has_ocr=False) is not None:
            asked = for_all(asked)
        explanation = planner.plan(asked, policy).explanation
    except Refused as error:
        _print(error.explanation, print_json, error.message)
        raise typer.Exit(1) from None
    _print(explanation, print_json, chosen=chosen)


def _print(
    explanation: Explanation, print_json: bool, refusal: str | None = None, chosen: Mapping[str, Any] | None = None
) -> None:
    if print_json:
        plugins = {} if chosen is None else {"plugins": {"auto_router": chosen}}
        told = {**as_json(explanation), "refusal": refusal, **plugins}
        typer.echo(json.dumps(told, indent=1, ensure_ascii=False))
        return
    if chosen is not None:
        typer.echo(f"{chosen['why']}; the prompt is {chosen.get('tier', 'not weighed')}.\n")
    if refusal is not None:
        typer.echo(f"{refusal}\n")
    typer.echo(as_table(explanation))


def _shown(numbers: str) -> list[float]:
    try:
        shown = [float(number) for number in numbers.split(",") if number.strip()]
    except ValueError:
        shown = [1.0]
    if not all(0 <= number < 1 for number in shown):
        raise typer.BadParameter("write numbers from 0 to below 1, with commas between", param_hint="--dice")
    return shown


def _endless() -> Iterator[float]:
    while True:
        yield random.random()
