"""What the documents say, held against the code."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest
from assembled import exposition_of
from prometheus_client.core import Metric

from stevedore_api import problems
from stevedore_api.catalogue import Catalogue
from stevedore_api.settings import PREFIX, Settings
from stevedore_core.manifest import Manifest
from stevedore_core.served_settings import FOR_MODELS, SERVED
from stevedore_core.weights import WeightsRecord

ROOT: Final = Path(__file__).parents[2]

DOCUMENTS: Final = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
)

GUIDES: Final = [ROOT / "docs" / "guides" / f"{name}.md" for name in ("operating", "tuning")]
"""What tells an operator which variables to set and which metrics to watch."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link names a file that is here."""
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_every_setting_is_documented_as_it_is() -> None:
    """The table of settings holds each variable with its default and its description."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | `{field.default}` | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("| `")] == rows


def test_every_problem_is_documented_with_its_status() -> None:
    """Each code that a caller may see stands beside its status, and no other code does."""
    text = (ROOT / "docs" / "http.md").read_text(encoding="utf-8").split("## Problems")[1]
    documented = {
        code: int(status)
        for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]+) \|", text, flags=re.MULTILINE)
        for code in re.findall(r"`([a-z-]+)`", codes)
    }
    assert documented == problems.STATUS


def test_every_metric_is_documented_as_it_is() -> None:
    """The table has each metric with its type, labels and description, as Prometheus gets them."""
    rows = [
        f"| `{name_of(family)}` | {family.type} | {labels_of(family)} | {family.documentation} |"
        for family in exposition_of(Catalogue(())).collect()
    ]
    text = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("| `stevedore_")] == rows


@pytest.mark.parametrize("document", GUIDES, ids=lambda path: path.stem)
def test_names_in_guides_exist(document: Path) -> None:
    """Variables and metrics that a guide names are those that there are."""
    text = document.read_text(encoding="utf-8")
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    metrics = {name_of(family) for family in exposition_of(Catalogue(())).collect()}
    said = set(re.findall(r"\b(?:STEVEDORE|stevedore)_[A-Za-z_]+\b", text))
    assert {name for name in said if name.isupper()} <= settings
    assert {name for name in said if name.islower()} <= metrics


def name_of(family: Metric) -> str:
    """Return what queries call a metric."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels_of(family: Metric) -> str:
    """Return the labels of a metric."""
    return ", ".join(f"`{label}`" for label in getattr(family, "_labelnames"))  # noqa: B009


def test_the_manifests_that_are_shown_are_manifests() -> None:
    """Whoever copies one gets what it says."""
    blocks = [
        block
        for name in ("README.md", "docs/manifest.md")
        for block in re.findall(r"```toml\n(.*?)```", (ROOT / name).read_text("utf-8"), re.DOTALL)
    ]
    assert [Manifest.from_text(block, file="shown").name for block in blocks] == ["bundle", "shop"]


def test_every_key_of_a_manifest_is_explained() -> None:
    """The table has a row for each key of the example, which the parser has checked."""
    text = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    document = tomllib.loads(example)
    tables = {key: document.pop(key) for key in ("models", "serve", "image", "wheels")}
    inner = {f"{key}.{name}" for key in ("serve", "image", "wheels") for name in tables[key]}
    pinned = [pin for pin in tables["models"].values() if isinstance(pin, dict)]
    options = {f"models.<name>.{option}" for pin in pinned for option in pin}
    settings = {f"{table}.{name}" for table in ("serve", "models.<name>") for name in SERVED}
    explained = set(re.findall(r"^\| `([a-z_.<>]+)` \|", text, flags=re.MULTILINE))
    assert explained - settings == {*document, *inner, "models.<name>", *options} - settings


def test_every_setting_of_a_manifest_is_documented() -> None:
    """The document names what a model's table and `[serve]` may hold, and nothing else."""
    text = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\[.+\])` \| (.+) \|$", text, flags=re.MULTILINE))
    found = {where: tuple(re.findall(r"`(.+?)`", names)) for where, names in rows.items()}
    assert found == {"[models.<name>]": FOR_MODELS, "[serve]": tuple(SERVED)}


def test_the_record_of_weights_that_is_shown_is_one() -> None:
    """Whoever copies it gets what it says, and the table has a row for each key."""
    text = (ROOT / "docs" / "guides" / "large-weights.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    record = WeightsRecord.parse(shown.encode(), directory=ROOT)
    assert f"# Written by train.py.\n{shown}" == record.text
    (file,) = record.fetched.values()
    explained = set(re.findall(r"^\| `([a-z_0-9]+)` \|", text, flags=re.MULTILINE))
    assert explained == {*file.table, "path"}


def parts_of(source: Path) -> list[str]:
    """Return the names of the modules and packages in a directory of sources."""
    modules = {path.stem for path in source.glob("*.py")} - {"__init__", "__main__"}
    return sorted(modules | {path.parent.name for path in source.glob("*/__init__.py")})


@pytest.mark.parametrize("package", ["core", "api", "build"])
def test_every_module_is_on_the_map(package: str) -> None:
    """The architecture names each module once, and none that is gone.

    What is in a package inside of build stands below a heading with the package's name.
    """
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split(f"## packages/{package}")[1].split("\n## ")[0]
    named: dict[str, list[str]] = {}
    for part in section.split("\n### "):
        heading = re.match(r"`(\w+)`\n", part)
        rows = (line.split("|")[1] for line in part.splitlines() if line[:3] == "| `")
        names = re.findall(r"`([a-z_]+)`", "\n".join(rows))
        named.setdefault(heading[1] if heading else "", []).extend(names)
    source = ROOT / "packages" / package / "src" / f"stevedore_{package}"
    rooms = [path.parent for path in source.glob("*/__init__.py")] if package == "build" else []
    found = {"": parts_of(source), **{room.name: parts_of(room) for room in rooms}}
    assert {place: sorted(names) for place, names in named.items()} == found


def test_every_target_that_is_printed_exists() -> None:
    """A document that says `make x` means a target of the Makefile, one with a line of help."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        said = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)\b", text, flags=re.MULTILINE))
        assert said <= targets, document
