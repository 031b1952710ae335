"""What is tested, linted and typed. `make tools` installs nox; logic is in `ml-stevedore`.

Everything is discovered: a new model or composition is tested without an edit here.
"""

import fcntl
import json
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nox

ROOT = Path(__file__).parent
TOOLS = ROOT / ".venv" / "bin"
PYTHON = "3.11"

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"
nox.options.tags = ["default"]
nox.needs_version = ">=2026.8.10"


def found(pattern: str) -> list[str]:
    """Return the names of the directories that hold such a file. Finding none is an error."""
    names = sorted(path.parent.name for path in ROOT.glob(pattern))
    if not names:
        raise SystemExit(f"nothing matches `{pattern}`: there must be at least one")
    return names


TESTS = ("packages/*/tests", "compositions/*/tests", "tests")
MODELS = found("models/*/pyproject.toml")
COMPOSITIONS = found("compositions/*/composition.toml")


def each(names: list[str]) -> list[object]:
    """Return one parameter per name, so that a session is called `test_model(iris)`."""
    return [nox.param(name, id=name) for name in names]


@nox.session(python=PYTHON, tags=["default"], allow_parallel=True)
def lint(session: nox.Session) -> None:
    """Check style with ruff."""
    install(session, "lint")
    # It would leave one wherever a `pyproject.toml` is, within what tests are recorded for, too.
    session.env["RUFF_CACHE_DIR"] = str(ROOT / ".ruff_cache")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=PYTHON, tags=["default"], allow_parallel=True)
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    install(session, "packages" if (ROOT / "packages").is_dir() else "types")
    install_own(session)
    for model in sorted(ROOT.glob("models/*")):  # their frameworks are not installed here
        session.run("mypy", "--ignore-missing-imports", str(model.relative_to(ROOT)))
    # Tests go by directory: two directories may have a `conftest` each.
    tests = {p.parent for pattern in TESTS for p in ROOT.glob(f"{pattern}/**/test_*.py")}
    for place in sorted(tests):
        session.run("mypy", *(str(p.relative_to(ROOT)) for p in sorted(place.glob("*.py"))))
    session.run("mypy", "noxfile.py")


@nox.session(python=PYTHON, tags=["default", "test"], allow_parallel=True)
@nox.parametrize("model", each(MODELS))
def test_model(session: nox.Session, model: str) -> None:
    """Test one model alone, with the locked distributions that it needs and no others."""
    check(session, "test-model", model, MODELS)


@nox.session(python=PYTHON, tags=["default", "test"], allow_parallel=True)
@nox.parametrize("composition", each(COMPOSITIONS))
def test_composition(session: nox.Session, composition: str) -> None:
    """Serve the layout of a composition's lock and test it over HTTP."""
    check(session, "test-composition", composition, COMPOSITIONS)


@nox.session(python=PYTHON, tags=["default", "test"], allow_parallel=True)
@nox.parametrize("composition", each(COMPOSITIONS))
def test_image(session: nox.Session, composition: str) -> None:
    """Build a composition's image and test it in a container; `STEVEDORE_ENGINES` lists engines."""
    with alone_with(f"image-{composition}"):
        check(session, "test-image", composition, COMPOSITIONS)


@nox.session(python=PYTHON)
def test_affected(session: nox.Session) -> None:
    """Test what a change affects and nothing else: `nox -s test_affected -- --since main`."""
    program = str(TOOLS / "ml-stevedore")
    need_tools(session)
    printed = session.run(
        program, "affected", "--json", *session.posargs, external=True, silent=True
    )
    found = json.loads(printed or "{}")
    install(session, "test")
    for model in found["models"]:
        stevedore(session, "test-model", model, [])
    for composition in found["compositions"]:
        stevedore(session, "test-composition", composition, [])
        stevedore(session, "test-image", composition, [])


@nox.session(python=PYTHON)
def release_model(session: nox.Session) -> None:
    """Release a model: `nox -s release_model -- iris --part minor`; called by make."""
    releasing(session, "release-model")


@nox.session(python=PYTHON)
def release(session: nox.Session) -> None:
    """Release a composition: `nox -s release -- bundle --part minor`; called by make."""
    releasing(session, "release")


@contextmanager
def alone_with(what: str) -> Iterator[None]:
    """Wait until no other session uses the same thing, where several run at a time."""
    place = ROOT / ".nox"
    place.mkdir(exist_ok=True)
    with (place / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check(session: nox.Session, command: str, name: str, known: list[str], *first: str) -> None:
    """Run a check of `ml-stevedore` on one of the known names, if it was asked for.

    `first` goes to pytest ahead of what was given after `--`.
    """
    names, options = asked(session, known)
    if name not in names:
        session.skip("not asked for")
    install(session, "test")
    stevedore(session, command, name, [*first, *options])


def asked(session: nox.Session, known: list[str]) -> tuple[list[str], list[str]]:
    """Return the names asked for after `--`, all if none, and what to hand on to pytest.

    `--composition=NAME` asks for that composition and its models.
    """
    arguments = list(session.posargs)
    names = []
    while arguments and (not arguments[0].startswith("-") or "--composition=" in arguments[0]):
        names.append(arguments.pop(0))
    for composition in [name for name in names if name.startswith("--composition=")]:
        names.remove(composition)
        names += members(composition.removeprefix("--composition="), known)
    if unknown := sorted(set(names) - set(known)):
        session.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return names or known, arguments


def members(composition: str, known: list[str]) -> list[str]:
    """Return which of the known names are a composition or one of its models."""
    manifest = ROOT / "compositions" / composition / "composition.toml"
    if not manifest.is_file():
        raise SystemExit(f"there is no composition `{composition}`; there are {COMPOSITIONS}")
    models = tomllib.loads(manifest.read_text(encoding="utf-8")).get("models", {})
    return [composition] if known is COMPOSITIONS else [name for name in models if name in known]


def releasing(session: nox.Session, command: str) -> None:
    """Run a command of `ml-stevedore` that releases; its tests run in the session's Python."""
    install(session, "test")
    need_tools(session)
    python = str(Path(session.bin) / "python")
    arguments = [str(TOOLS / "ml-stevedore"), command, *session.posargs, "--python", python]
    # Interrupted, it puts everything back first, and that is waited for.
    session.run(*arguments, external=True, interrupt_timeout=None, terminate_timeout=None)


def install(session: nox.Session, name: str) -> None:
    """Install a locked set of tools, hashes checked."""
    session.install("--require-hashes", "-r", f"requirements/{name}.txt")


def install_own(session: nox.Session) -> None:
    """Install core, api and build: as the workspace has them, or as it pins them."""
    own = [word for package in sorted(ROOT.glob("packages/*")) for word in ("-e", str(package))]
    if own:
        session.install("--no-deps", "--no-build-isolation", *own)
        return
    kept = ["--no-index", "--find-links", "requirements/wheels"]
    kept = kept if (ROOT / "requirements" / "wheels").is_dir() else []
    session.install("--no-deps", "--require-hashes", *kept, "-r", "requirements/stevedore.txt")


def need_tools(session: nox.Session) -> None:
    """Make the tools where nox was called without make."""
    if not (TOOLS / "ml-stevedore").exists():
        session.run("make", "tools", external=True)


def stevedore(
    session: nox.Session,
    command: str,
    name: str,
    options: list[str],
    success_codes: Sequence[int] = (0,),
) -> None:
    """Run a check of `ml-stevedore`; the tests in it run in the session's Python."""
    need_tools(session)
    python = str(Path(session.bin) / "python")
    program = str(TOOLS / "ml-stevedore")
    check = [program, command, name, "--python", python, "--", *options]
    session.run(*check, external=True, success_codes=success_codes)
