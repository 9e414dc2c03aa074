"""Who may import whom: the rules of section 4 of docs/architecture.md, read off the imports."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "trunkline"

LEVELS = {
    "errors": -1,
    "settings": -1,
    "money": -1,
    "version": -1,
    "wire": 0,
    "packing": 0,
    "days": 0,
    "protocol": 0,
    "stream": 1,
    "catalog": 1,
    "adapters": 2,
    "faces": 2,
    "fakeprovider": 2,
    "credentials": 2,
    "routing": 2,
    "billing": 2,
    "generation": 3,
    "gossip": 3,
    "failpoints": 4,
    "store": 4,
    "accounts": 5,
    "telemetry": 5,
    "stopping": 5,
    "upstream": 6,
    "plugins": 6,
    "nodes": 6,
    "call": 7,
    "renewing": 7,
    "settlement": 8,
    "reserving": 8,
    "pushing": 8,
    "planning": 8,
    "preparing": 8,
    "moderation": 8,
    "judging": 8,
    "filing": 8,
    "stepping": 8,
    "pipeline": 9,
    "inventory": 10,
    "calling": 10,
    "server": 10,
    "app": 11,
    "cli": 12,
    "__main__": 12,
}
"""The line each part stands on; a part imports from lower lines only. Below 4 is below the I/O line."""

SAME_LINE = {
    ("protocol", "wire"): False,
    ("cli", "__main__"): False,
    ("store", "failpoints"): True,
    ("fakeprovider", "adapters"): True,
    ("__main__", "cli"): True,
    ("plugins", "upstream"): True,
    ("preparing", "planning"): True,
    ("preparing", "moderation"): True,
    ("moderation", "judging"): True,
    ("judging", "settlement"): True,
    ("judging", "reserving"): True,
    ("preparing", "filing"): True,
    ("filing", "planning"): True,
    ("pushing", "settlement"): True,
    ("settlement", "stepping"): True,
    ("stepping", "reserving"): True,
    ("server", "inventory"): False,
    ("server", "calling"): False,
}
"""Pairs on one line; True where the first may import the second."""

IMPURE = frozenset(
    """asyncio socket ssl os time random secrets logging threading subprocess selectors http urllib.request shutil
    tempfile pathlib io sqlite3 uuid""".split()  # noqa: SIM905
)

DRIVERS = ("plugins/course.py", "plugins/healed.py", "plugins/moderated.py")
"""The steps around the model that wait for somebody; all else in their folder is pure."""

DOORS: dict[str, tuple[str, ...]] = {
    "aiohttp": ("upstream/links/client.py",),
    "aiohappyeyeballs": ("upstream/dialing.py",),
    "yarl": ("upstream/links/client.py",),
    "starlette": ("server/",),
    "uvicorn": ("server/",),
    "uvloop": ("server/", "store/postgres.py"),
    "asyncpg": ("store/postgres.py",),
    "httptools": ("server/", "upstream/connection.py"),
    "typer": ("cli/",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "sqlalchemy": ("store/upgrade.py",),
    "alembic": ("store/upgrade.py", "store/migrations/"),
    "sqlite3": ("store/",),
    "redis": ("store/valkey.py",),
    "cryptography": ("credentials/sealing.py",),
    "botocore": ("credentials/", "upstream/tokens.py", "stream/aws_events.py"),
    "google": ("credentials/", "upstream/tokens.py"),
    "jsonschema_rs": ("plugins/schema_check.py",),
    "pypdfium2": ("upstream/documents/pdf.py",),
    "selectolax": ("upstream/documents/html.py",),
}
"""Each library and the one place that may import it; msgspec is free below the I/O line and nowhere above.

A door comes with the commit that uses it: an import without one fails.
"""

OPTIONAL = frozenset({"botocore", "google", "jsonschema_rs", "pypdfium2", "selectolax", "cryptography"})
"""Libraries that may be imported inside a function, at their door: the last is seldom needed, others may be missing."""

FILES = sorted(path for path in ROOT.rglob("*.py") if "migrations/versions" not in path.as_posix())
MILL = sorted((ROOT.parent.parent / "tools" / "models").glob("*.py"))
"""What makes the shipped list of models out of lists that `tools/catalog.py` fetched."""


def part_of(module: str) -> str:
    """`trunkline.protocol.items` → `protocol`."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "trunkline"


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """All nodes of a file's syntax tree, read once."""
    return list(ast.walk(ast.parse(path.read_text())))


def module_of(path: Path) -> str:
    return ".".join(("trunkline", *path.relative_to(ROOT).with_suffix("").parts))


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Every imported module of a file with its statement, names of packages resolved to modules where they are."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module, node
            for alias in node.names:
                candidate = ROOT.parent / Path(*node.module.split("."), f"{alias.name}.py")
                if candidate.exists():
                    yield f"{node.module}.{alias.name}", node


def is_pure(path: Path) -> bool:
    """Whether a file stands below the I/O line, or is one of the steps around the model, of which few ask anybody."""
    name, part = path.relative_to(ROOT).as_posix(), part_of(module_of(path))
    return LEVELS.get(part, 9) < 4 or (part == "plugins" and name not in DRIVERS)


def check_purity(path: Path) -> None:
    for module, node in imports(path):
        if module == "io" and isinstance(node, ast.ImportFrom) and [each.name for each in node.names] == ["BytesIO"]:
            continue  # bytes in memory
        found = {module, module.split(".")[0]} & IMPURE
        assert not found, f"{path.name}:{node.lineno} imports {module} below the I/O line"
    text = path.read_text()
    for clock in ("datetime.now(", "datetime.utcnow(", "date.today("):
        assert clock not in text, f"{path.name} reads a clock"
    for call in ast.walk(ast.parse(text)):
        is_open = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "open"
        assert not is_open, f"{path.name} opens a file"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
class TestFile:
    def test_imports_only_from_lower_lines(self, path: Path) -> None:
        mine = part_of(module_of(path))
        if mine == "__init__":
            return
        for module, node in imports(path):
            if not module.startswith("trunkline.") or part_of(module) == mine:
                continue
            theirs = part_of(module)
            allowed = LEVELS[theirs] < LEVELS[mine] or SAME_LINE.get((mine, theirs), False)
            if LEVELS[mine] == 0 and theirs == "errors":
                allowed = True
            assert allowed, f"{path.name}:{node.lineno} imports {module}, which is not below {mine}"

    def test_is_pure_below_the_line(self, path: Path) -> None:
        if is_pure(path):
            check_purity(path)

    def test_goes_through_the_one_door_of_a_library(self, path: Path) -> None:
        name = path.relative_to(ROOT).as_posix()
        for module, node in imports(path):
            root = module.split(".")[0]
            if root == "msgspec":
                assert is_pure(path), f"{name}:{node.lineno} imports msgspec above the I/O line"
            doors = DOORS.get(root)
            if doors is not None:
                assert name.startswith(doors), f"{name}:{node.lineno} imports {root}; its door is {doors}"
            else:
                is_free = root in sys.stdlib_module_names or root in ("msgspec", "trunkline")
                assert is_free, f"{name}:{node.lineno} imports {root}, which has no door"

    def test_hides_no_import_in_a_function(self, path: Path) -> None:
        for function in nodes_of(path):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    roots = {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    roots = {(node.module or "").split(".")[0]}
                else:
                    continue
                assert roots <= OPTIONAL, f"{path.name}:{node.lineno} hides an import of {roots}"


def test_few_places_import_by_name() -> None:
    """An import that is a text is seen by none of these tests; these load what only some runs of a command need.

    `settlement.py` loads `stepping.py`, and `preparing.py` `moderation.py` and `filing.py`, which the table of lines
    has them use.
    """
    found = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if "import_module" in path.read_text() or "__import__" in path.read_text()
    }
    of_store = {"store/database.py", "store/lists.py", "store/opening.py", "store/revisions.py", "store/sqlite.py"}
    of_upstream = {"upstream/documents_late.py", "upstream/links/late.py", "upstream/stage.py"}
    assert found == {
        "app.py",
        "cli/start.py",
        "preparing.py",
        "server/contract.py",
        "settlement.py",
        *of_upstream,
        *of_store,
    }


def test_there_is_no_cycle() -> None:
    graph = {
        module_of(path): {m for m, _ in imports(path) if m.startswith("trunkline.")} - {module_of(path)}
        for path in FILES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"cycle: {' → '.join((*trail, module))}"
        if module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_every_part_is_on_a_line() -> None:
    parts = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES} - {"__init__"}
    assert parts <= LEVELS.keys(), f"not placed: {parts - LEVELS.keys()}"


SHARED = frozenset({"contract", "media", "thinking", "naming", "seals", "encoding", "decoding"})
"""What a dialect may use of `adapters/` besides its own folder."""


IN_ADAPTERS = [path for path in FILES if path.is_relative_to(ROOT / "adapters")]


@pytest.mark.parametrize("path", IN_ADAPTERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_dialect_knows_no_other(path: Path) -> None:
    mine = path.relative_to(ROOT / "adapters").parts[0]
    for module, node in imports(path):
        theirs = module.split(".")[2] if module.startswith("trunkline.adapters.") else mine
        if mine.endswith(".py") or theirs == mine:
            continue
        allowed = SHARED - {"contract"} if mine in ("encoding", "decoding") else SHARED
        assert theirs in allowed, f"{path.name}:{node.lineno} imports {module}"


IN_FACES = [path for path in FILES if path.is_relative_to(ROOT / "faces")]


@pytest.mark.parametrize("path", IN_FACES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_face_knows_no_other_and_no_dialect(path: Path) -> None:
    mine = path.relative_to(ROOT / "faces").parts[0]
    for module, node in imports(path):
        part, _, rest = module.removeprefix("trunkline.").partition(".")
        if not module.startswith("trunkline."):
            continue
        below = ("protocol", "stream", "errors", "money", "wire", "faces")
        assert part in below, f"{path.name}:{node.lineno} imports {module}"
        if part == "faces" and not mine.endswith(".py"):
            shared = ("contract", "lines", "whole_telling", mine)
            assert rest.split(".")[0] in shared, f"{path.name}:{node.lineno} imports {module}"


def test_the_fake_provider_knows_nothing_of_adapters_but_its_wire() -> None:
    for path in (ROOT / "fakeprovider").glob("*.py"):
        used = {module for module, _ in imports(path) if module.startswith("trunkline.adapters")}
        assert used <= {"trunkline.adapters.fake", "trunkline.adapters.fake.wire"}, path.name


@pytest.mark.parametrize("path", MILL, ids=lambda path: path.name)
def test_the_mill_is_pure_and_knows_of_the_catalogue_alone(path: Path) -> None:
    check_purity(path)
    for module, node in imports(path):
        root = module.split(".")[0]
        is_below = root == "trunkline" and LEVELS[part_of(module)] <= LEVELS["catalog"]
        is_own = module.startswith("tools.models")
        is_free = is_below or is_own or root in sys.stdlib_module_names or root == "msgspec"
        assert is_free, f"tools/models/{path.name}:{node.lineno} imports {module}"


MACHINES = (
    "upstream/hearing.py",
    "upstream/patience.py",
    "faces/responses/telling.py",
    "faces/chat/telling.py",
    "faces/whole_telling.py",
    "settlement.py",
    "billing.py",
    "accounts/rates.py",
    "store/breaker.py",
    "routing/others.py",
    "routing/joint.py",
    "accounts/idempotency.py",
    "plugins/order.py",
    "plugins/searching.py",
    "plugins/rounds.py",
    "plugins/totals.py",
    "plugins/truncating.py",
    "planning.py",
    "plugins/web.py",
    "plugins/healing.py",
    "plugins/healing_step.py",
    "plugins/router.py",
    "plugins/auto_router.py",
    "plugins/healed_deltas.py",
    "plugins/schema_cost.py",
    "plugins/json_told.py",
    "plugins/json_texts.py",
    "plugins/json_words.py",
    "plugins/json_quotes.py",
    "plugins/json_roots.py",
    "upstream/engines/found.py",
    "upstream/engines/table.py",
    "upstream/engines/domains.py",
    "plugins/carried.py",
    "plugins/citing.py",
    "plugins/links.py",
    "plugins/templates.py",
    "upstream/documents/frames.py",
    "upstream/documents/prose.py",
    "upstream/documents/pdf.py",
    "upstream/documents/docx_parts.py",
    "upstream/documents/html.py",
    "upstream/fair_queue.py",
    "plugins/moderating.py",
    "plugins/output_watch.py",
    "plugins/words.py",
    "upstream/engines/judged.py",
    "upstream/engines/moderation_table.py",
    "plugins/files.py",
    "upstream/texts.py",
    "upstream/engines/ocr_table.py",
)
"""Rules that somebody else drives: no await, no socket, no clock of their own."""


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_waits_for_nobody(name: str) -> None:
    path = ROOT / name
    waiting = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    assert not [node.lineno for node in nodes_of(path) if isinstance(node, waiting)]
    assert not {module.split(".")[0] for module, _ in imports(path)} & IMPURE


def test_a_child_that_reads_documents_knows_nothing_of_the_gateway() -> None:
    folder = ROOT / "upstream" / "documents"
    for path in folder.glob("*.py"):
        ours = {module for module, _ in imports(path) if module.startswith("trunkline")}
        assert all(module.startswith("trunkline.upstream.documents") for module in ours), path.name
    for package in (ROOT, ROOT / "upstream", folder):
        assert not (package / "__init__.py").read_text(), "it would be loaded by each child"


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in (*FILES, *MILL):
        name = path.relative_to(ROOT if path.is_relative_to(ROOT) else ROOT.parent.parent).as_posix()
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno} {node.name}", node


def test_a_function_fits_on_a_screen() -> None:
    assert not [name for name, node in functions() if (node.end_lineno or node.lineno) - node.lineno >= 60]


def test_a_plan_is_asked_for_with_a_request_and_a_policy() -> None:
    (plan,) = [node for name, node in functions() if name.startswith("routing/plan.py") and node.name == "plan"]
    assert [argument.arg for argument in plan.args.args] == ["self", "request", "policy"]


def test_the_pipeline_is_one_page() -> None:
    assert len((ROOT / "pipeline.py").read_text().splitlines()) <= 120


def test_what_dialects_share_is_found_by_its_direction() -> None:
    assert len(list((ROOT / "adapters").glob("*.py"))) <= 12
    assert {path.name for path in (ROOT / "adapters").iterdir() if path.is_dir() and path.name != "__pycache__"} >= {
        "encoding",
        "decoding",
    }


_UNTURNING = re.compile(r"\)[*?+}]\+")


def test_what_is_repeated_without_turning_back_can_fail_without_having_read() -> None:
    """Before Python 3.11.5 what a failed repetition had read is kept (`plugins/json_words.py` says what is done)."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "(?" in line
        and "`" not in line
        and any(not line[: it.start()].endswith("|(?!)") for it in _UNTURNING.finditer(line))
    ]
    assert not found, found
