"""A lock survives being written and read, and notices what was edited."""

from dataclasses import replace
from pathlib import Path

import pytest

from stevedore_core.errors import DocumentInvalid
from stevedore_core.lock import Environment, Lock, LockedModel, LockedWheel
from stevedore_core.requirements_files import Pin

A, B, C = "a" * 64, "b" * 64, "c" * 64

NUMPY = Pin(name="numpy", version="2.2.6", marker=None, sha256s=(A, B))
SCIPY = Pin(name="scipy", version="1.15.0", marker="sys_platform == 'linux'", sha256s=(C,))
JITER = Pin(name="jiter", version="0.8.2", marker=None, sha256s=(A,))

LOCK = Lock(
    name="bundle",
    version="1.0.0",
    python="3.11",
    manifest_sha256=A,
    base="python:3.11-slim",
    environments=(
        Environment(name="default", inputs_sha256=B, pins=(JITER, NUMPY, SCIPY)),
        Environment(name="front", inputs_sha256=C, pins=(JITER,)),
    ),
    wheels=(
        LockedWheel(distribution="ml-py-stevedore-core", version="0.1.0", sha256=A),
        LockedWheel(distribution="ml-py-stevedore-api", version="0.1.0", sha256=B),
    ),
    models=(
        LockedModel(
            name="iris",
            version="1.0.0",
            environment="default",
            distribution="stevedore-model-iris",
            sha256=A,
            inputs_sha256=A,
            requires=("jiter", "numpy"),
        ),
        LockedModel(
            name="digits",
            version="1.1.0",
            environment="default",
            distribution="stevedore-model-digits",
            sha256=B,
            inputs_sha256=B,
            requires=("jiter", "scipy"),
        ),
    ),
)

FRONT_TXT = f"""\
# Written by `make lock`. Review it, never edit it.
jiter==0.8.2 \\
    --hash=sha256:{A}
"""


def refusal(directory: Path) -> str:
    """Return what is said of a lock that is refused."""
    with pytest.raises(DocumentInvalid) as caught:
        Lock.read(directory)
    return str(caught.value)


def edit(file: Path, old: str, new: str) -> None:
    """Replace one piece of text, which must be there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_round_trip(tmp_path: Path) -> None:
    """What is read is what was written, digest included; a second writing changes nothing."""
    LOCK.write(tmp_path)
    text = (tmp_path / "lock.toml").read_text()
    assert Lock.read(tmp_path) == LOCK
    assert Lock.read(tmp_path).digest == LOCK.digest
    Lock.read(tmp_path).write(tmp_path)
    assert (tmp_path / "lock.toml").read_text() == text
    assert (tmp_path / "lock" / "front.txt").read_text() == FRONT_TXT


def test_a_directory_that_is_not_there_is_made(tmp_path: Path) -> None:
    """Whoever writes a lock makes no directory first."""
    LOCK.write(tmp_path / "compositions" / "bundle")
    assert Lock.read(tmp_path / "compositions" / "bundle") == LOCK


def test_unknown_keys(tmp_path: Path) -> None:
    """A key that nobody reads is refused, in whichever table it stands."""
    LOCK.write(tmp_path)
    for table in ("environments", "wheels", "models"):
        edit(tmp_path / "lock.toml", f"[[{table}]]\n", f"[[{table}]]\nextra = 1\n")
    told = [line.partition(";")[0] for line in refusal(tmp_path).splitlines()[1:]]
    assert told == [
        f"  `{table}[1].extra`: unknown key" for table in ("environments", "wheels", "models")
    ]


def test_without_a_base(tmp_path: Path) -> None:
    """A manifest that names no base gives a lock that names none."""
    lock = replace(LOCK, base=None)
    lock.write(tmp_path)
    assert Lock.read(tmp_path) == lock


def test_nothing_stays_over(tmp_path: Path) -> None:
    """The requirements file of an environment that is gone is gone too."""
    LOCK.write(tmp_path)
    replace(LOCK, environments=LOCK.environments[:1]).write(tmp_path)
    assert [file.name for file in (tmp_path / "lock").iterdir()] == ["default.txt"]


def test_digest_covers_everything() -> None:
    """One more accepted hash is another lock."""
    pins = (replace(JITER, sha256s=(A, B)),)
    environments = (LOCK.environments[0], replace(LOCK.environments[1], pins=pins))
    assert replace(LOCK, environments=environments).digest != LOCK.digest


def test_restrict() -> None:
    """A model alone keeps its package, core, and the pins that these two need; nothing else."""
    alone = LOCK.restrict("iris")
    assert alone.environments[0].pins == (JITER, NUMPY)
    assert [environment.name for environment in alone.environments] == ["default"]
    assert alone.wheels == LOCK.wheels[:1]
    assert alone.models == LOCK.models[:1]
    assert (alone.name, alone.version, alone.base) == ("iris", "1.0.0", None)


def test_restrict_is_the_same_in_every_composition() -> None:
    """What surrounds a model, and what its environment is called, leaves no trace."""
    other = replace(
        LOCK,
        name="other",
        version="2.0.0",
        manifest_sha256=B,
        environments=(replace(LOCK.environments[0], name="onnx"), LOCK.environments[1]),
        models=(replace(LOCK.models[0], environment="onnx"),),
    )
    assert other.restrict("iris") == LOCK.restrict("iris")


def test_absent(tmp_path: Path) -> None:
    """A missing lock says how it comes about."""
    assert refusal(tmp_path) == f"{tmp_path / 'lock.toml'}: not there; `make lock` writes it"


def test_not_toml(tmp_path: Path) -> None:
    """A lock that is no TOML is told with the place of the error."""
    (tmp_path / "lock.toml").write_text("format")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'lock.toml'}: cannot be read: Expected '=' after a key in a key/value pair "
        "(at end of document); `make lock` writes it"
    )


def test_other_format(tmp_path: Path) -> None:
    """A lock of another format is refused before anything else is judged."""
    (tmp_path / "lock.toml").write_text("format = 1\n")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'lock.toml'}: `format`: expected a whole number from 2 to 2, found `1`"
    )


def test_edited_requirements(tmp_path: Path) -> None:
    """A requirements file that is not the recorded one is refused."""
    LOCK.write(tmp_path)
    edit(tmp_path / "lock" / "default.txt", "numpy==2.2.6", "numpy==2.2.5")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'lock.toml'}: `environments[1].sha256`: `lock/default.txt` was edited; "
        "run `make lock`"
    )


def test_absent_requirements(tmp_path: Path) -> None:
    """A requirements file that is named and not there is told."""
    LOCK.write(tmp_path)
    (tmp_path / "lock" / "front.txt").unlink()
    assert refusal(tmp_path) == (
        f"{tmp_path / 'lock.toml'}: `environments[2].name`: `lock/front.txt` is not there; "
        "`make lock` writes it"
    )


def test_references(tmp_path: Path) -> None:
    """A model in no locked environment, or that requires what is not pinned, is refused."""
    LOCK.write(tmp_path)
    edit(tmp_path / "lock.toml", 'environment = "default"', 'environment = "front"')
    edit(tmp_path / "lock.toml", '"scipy"', '"torch"')
    assert refusal(tmp_path).splitlines() == [
        f"{tmp_path / 'lock.toml'}: 2 problems",
        "  `models[1].environment`: no environment `front` is locked",
        "  `models[2].requires`: `torch` is not in `lock/default.txt`",
    ]


def test_nameless_environment(tmp_path: Path) -> None:
    """An environment without a name is refused before any file is looked for."""
    LOCK.write(tmp_path)
    edit(tmp_path / "lock.toml", 'name = "default"\n', 'name = "../x"\n')
    assert refusal(tmp_path) == (
        f"{tmp_path / 'lock.toml'}: `environments[1].name`: expected a name of lower-case letters, "
        "digits and single `-` or `_`, at most 63 characters, found `../x`"
    )


def test_several_versions(tmp_path: Path) -> None:
    """A model may be there at several versions; the first is the default."""
    newer = replace(LOCK.models[0], version="1.1.0", environment="default-2", sha256=C)
    apart = replace(LOCK.environments[0], name="default-2")
    lock = replace(LOCK, environments=(*LOCK.environments, apart), models=(*LOCK.models, newer))
    lock.write(tmp_path)
    assert Lock.read(tmp_path) == lock
    assert lock.model("iris") == LOCK.models[0]
    assert lock.model("iris", "1.1.0") == newer
    assert lock.restrict("iris", "1.1.0").models == (replace(newer, environment="default"),)
    named: list[tuple[str, str | None, object]] = [
        ("iris", "2.0.0", ("iris", "2.0.0")),
        ("tulip", None, "tulip"),
    ]
    for name, version, absent in named:
        with pytest.raises(KeyError) as caught:
            lock.model(name, version)
        assert caught.value.args == (absent,)
    assert list(lock.keys.items()) == [
        (LOCK.models[0], "iris"),
        (LOCK.models[1], "digits"),
        (newer, "iris@1.1.0"),
    ]


def test_two_versions_in_one_environment(tmp_path: Path) -> None:
    """The same version twice, or two in one environment, is refused."""
    replace(LOCK, models=(*LOCK.models, *LOCK.models)).write(tmp_path)
    edit(tmp_path / "lock.toml", 'version = "1.1.0"', 'version = "1.2.0"')
    assert refusal(tmp_path).splitlines() == [
        f"{tmp_path / 'lock.toml'}: 2 problems",
        "  `models[3]`: `iris` 1.0.0 is locked twice",
        "  `models[4].environment`: `default` holds `digits` 1.2.0 already",
    ]
