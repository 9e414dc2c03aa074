"""Layers of plain values → settings, where each value came from, and what is wrong with them.

The layers are the command line, the environment and the file, strongest first; out comes one frozen `Settings`. This
module does not read a file or the environment: both are handed to it as values.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeAlias, assert_never

from msgspec.structs import replace

from trunkline.settings.forms import Json, Path, Problem, Unreadable, fields_at, read_table, write_value
from trunkline.settings.secret import Secret
from trunkline.settings.sections import Settings

Layer: TypeAlias = Mapping[str, Json]
"""Nested plain values, as `{"server": {"listen": "0.0.0.0:8080"}}`."""

ENVIRONMENT_PREFIX = "TRUNKLINE_"
NOT_SETTINGS = frozenset({"TRUNKLINE_CONFIG", "TRUNKLINE_FAILPOINT"})
"""Variables with our prefix that the command line reads itself."""


class SettingsError(Exception):
    """The settings cannot be used; one line for each problem, each saying where it is and what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Sources:
    """The layers that settings are read from, strongest first: `command_line`, `environment`, `file`.

    `names` tells how the operator spelled a path of the environment layer; `lines` the line of a path in the file.
    """

    command_line: Layer = field(default_factory=dict)
    environment: Layer = field(default_factory=dict)
    file: Layer = field(default_factory=dict)
    file_name: str = "trunkline.toml"
    names: Mapping[Path, str] = field(default_factory=dict)
    lines: Mapping[Path, int] = field(default_factory=dict)

    def origin(self, path: Path) -> str:
        """Say where the value at a path came from: `command line`, a variable's name, `file:line`, or `default`."""
        if _holds(self.command_line, path):
            return "command line"
        if _holds(self.environment, path):
            return _nearest_entry(self.names, path) or "environment"
        if _holds(self.file, path):
            line = _nearest_entry(self.lines, path)
            return f"{self.file_name}:{line}" if line else self.file_name
        return "default"


def read_sources(
    *,
    command_line: Layer | None = None,
    environ: Mapping[str, str] | None = None,
    file_text: str | None = None,
    file_name: str = "trunkline.toml",
) -> Sources:
    """Cut the three sources into layers.

    Raises SettingsError for text that is not TOML.
    """
    environment, names = _read_environment(environ or {})
    return Sources(
        command_line=command_line or {},
        environment=environment,
        file=_read_toml(file_text or "", file_name),
        file_name=file_name,
        names=names,
        lines=_find_lines(file_text or ""),
    )


def build_settings(sources: Sources) -> Settings:
    """Lay the layers over the defaults and check every value.

    Raises SettingsError with all problems at once.
    """
    layers = (sources.file, sources.environment, sources.command_line)
    try:
        settings: Settings = read_table(Settings, reduce(_laid_over, layers))
    except Unreadable as error:
        raise SettingsError([_explain(problem, sources) for problem in error.problems]) from None
    return settings


def with_store_url(settings: Settings, url: str) -> Settings:
    """The same settings with another place for the database."""
    return replace(settings, store=replace(settings.store, url=url))


def effective(settings: Settings, sources: Sources) -> Iterator[tuple[str, str, str]]:
    """List every value as (path, value, origin), secrets hidden; of what has names of its own only what is set."""
    for path, value in _leaves((), write_value(Settings, settings)):
        origin = sources.origin(path)
        is_unset = value in (None, {}, []) or origin == "default"
        if not (is_unset and path[0] in _NAMED):
            yield dotted(path), _shown(path, value), origin


def dotted(path: Path) -> str:
    """Write a path as `endpoints[2].price.input`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def suggestion(word: str, known: Sequence[str]) -> str:
    """Name the known word nearest to a mistyped one, ready to follow a full clause."""
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}" if len(known) < 25 else ""


def shown_address(text: str) -> str:
    """Hide the password, and what a query's parameters hold that sound secret, in an address; others stay as they are.

    Of an HTTP address the user is hidden too, since a token is often written there.
    """
    return reduce(lambda shown, rule: rule[0].sub(rule[1], shown), _ADDRESS_SECRETS, text)


_ADDRESS_SECRETS = (
    # A password may hold anything, so it ends at the last @ there is.
    (re.compile(r"^([A-Za-z][\w+.-]*://[^/?#:@\s]*):\S*@"), r"\1:(hidden)@"),
    (re.compile(r"^(https?://)[^/?#:@\s]+@", re.IGNORECASE), r"\1(hidden)@"),
    (re.compile(r"([?&][^=&#\s]*(?:key|token|secret|pass|sig|auth|cred|code)[^=&#\s]*=)[^&#]*", re.I), r"\1(hidden)"),
)


def _read_toml(text: str, file_name: str) -> Layer:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at line ")
        line = place.partition(",")[0] if place else str(text.count("\n") + 1)
        raise SettingsError(
            [f"{file_name}:{line}: not valid TOML: {message}; strings need quotes, tables a [header]"]
        ) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{file_name}: not valid TOML: {error}"]) from None


# Kubernetes and Docker put such variables into every container beside a service named "trunkline".
_SERVICE_LINK = re.compile(
    r"TRUNKLINE_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?=.*|PORT_\d+_(TCP|UDP)(_\w+)?=.*|PORT=\w+://.*)", re.DOTALL
)


def _read_environment(environ: Mapping[str, str]) -> tuple[Layer, Mapping[Path, str]]:
    layer: dict[str, Json] = {}
    names: dict[Path, str] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in NOT_SETTINGS:
            continue
        if _SERVICE_LINK.fullmatch(f"{name}={value}"):
            continue
        if not value.strip():
            continue  # `NAME=${NAME}` in a compose file leaves an empty string where nothing was meant
        path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        if path[0] == "providers" and len(path) > 1:
            # A variable's name cannot hold the hyphen of a slug.
            path = (path[0], path[1].replace("_", "-"), *path[2:])
        names[path] = name
        _put(layer, path, _environment_value(name, value))
    return layer, names


def _environment_value(name: str, value: str) -> Json:
    if value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        raise SettingsError(
            [f'{name}: write a list or table as in TOML, as ["a", "b"] or {{ env = "NAME" }}']
        ) from None


def _laid_over(weaker: Layer, stronger: Layer) -> Layer:
    """Lay one layer over another, table by table."""
    laid = dict(weaker)
    for name, value in stronger.items():
        below = laid.get(name)
        laid[name] = _laid_over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return laid


def _put(layer: dict[str, Json], path: tuple[str, ...], value: Json) -> None:
    for part in path[:-1]:
        inner = layer.get(part)
        if not isinstance(inner, dict):
            inner = layer[part] = {}
        layer = inner
    layer[path[-1]] = value


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?")
_ENTRY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def _find_lines(text: str) -> Mapping[Path, int]:
    """Find the line of each key. Good for messages only: it does not look inside multi-line values."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _key_path(header[2])
            if header[1] == "[[":
                index = counts.get(table, 0)
                counts[table] = index + 1
                table = (*table, index)
            lines.setdefault(table, number)
        elif entry := _ENTRY.match(line):
            lines.setdefault((*table, *_key_path(entry[1])), number)
    return lines


def _key_path(written: str) -> Path:
    return tuple(part.strip("\"'") for part in _KEY_PART.findall(written))


def _holds(layer: Json, path: Path) -> bool:
    for part in path:
        if isinstance(layer, str):
            return True  # a plain string that stands for a table, as an inline secret
        try:
            layer = layer[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _nearest_entry(entries: Mapping[Path, Json], path: Path) -> Json:
    """Look a path up, then the tables around it: a value inside an inline table has no entry of its own."""
    return next((entries[path[:end]] for end in range(len(path), 0, -1) if path[:end] in entries), None)


def _explain(problem: Problem, sources: Sources) -> str:
    path = problem.path
    origin = sources.origin(path if problem.kind != "missing" else path[:-1])
    where = "" if origin == "default" else f"{origin}: "
    match problem.kind:
        case "unknown":
            near = suggestion(str(path[-1]), fields_at(Settings, path[:-1]))
            return f"{where}unknown setting {dotted(path)!r}{near}"
        case "table":
            return f"{where}{dotted(path)} is a table of settings, not a single value"
        case "missing":
            return f"{where}{dotted(path)} is missing; set it"
        case "value":
            return f"{where}{dotted(path)}: {problem.words}"
        case other:
            assert_never(other)


def _leaves(path: Path, value: Json) -> Iterator[tuple[Path, Json]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves((*path, name), inner)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for index, inner in enumerate(value):
            yield from _leaves((*path, index), inner)
    else:
        yield path, value


def _shown(path: Path, value: Json) -> str:
    if isinstance(value, Secret) or (path[0] in ("providers", "endpoints") and _HEADER_TABLES.intersection(path)):
        return "(hidden)"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else shown_address(str(value))


_HEADER_TABLES = frozenset({"headers", "extra_headers"})
_NAMED = frozenset({"providers", "endpoints", "search", "bootstrap_key"})
"""Of these a value that nobody set is not listed."""
