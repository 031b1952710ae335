"""What is tested, linted and typed. `make tools` installs nox; logic is in `ml-stevedore`.

Everything is discovered: a new model or composition is tested without an edit here.
"""

# `ml-stevedore init` writes this file too, without what `(only here` and `only here)` enclose.
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
# (only here
PACKAGES = found("packages/*/pyproject.toml")
# only here)
MODELS = found("models/*/pyproject.toml")
COMPOSITIONS = found("compositions/*/composition.toml")


def each(names: list[str]) -> list[object]:
    """Return one parameter per name, so that a session is called `test_model(iris)`."""
    return [nox.param(name, id=name) for name in names]


# (only here
@nox.session(python=PYTHON, tags=["default", "test"])
def test_clock(session: nox.Session) -> None:
    """Test what watches the clock: no session runs beside it, however many run at a time."""
    install(session, "packages")
    install_own(session)
    tests = [f"packages/{package}/tests" for package in PACKAGES]
    if session.posargs:
        session.run("pytest", *tests, "-m", "clock", *session.posargs)
        return
    # Most of them wait. What puts a server under stress has both processors.
    two = ["--numprocesses=2", "--dist=loadfile"]
    session.run("pytest", *tests, *two, "-m", "clock and not stress")
    session.run("pytest", *tests, "-m", "clock and stress")


# only here)
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
    # (only here
    for sources in sorted(ROOT.glob("packages/*/src")):
        session.run("mypy", str(sources.relative_to(ROOT)))
    session.run("mypy", "conftest.py", "docs/conf.py")
    session.run("mypy", "--ignore-missing-imports", "benchmarks")  # each server's are elsewhere
    for probe in sorted(ROOT.glob("packages/build/src/*/templates/**/probe.py")):
        session.run("mypy", "--ignore-missing-imports", str(probe.relative_to(ROOT)))
    # only here)
    for model in sorted(ROOT.glob("models/*")):  # their frameworks are not installed here
        session.run("mypy", "--ignore-missing-imports", str(model.relative_to(ROOT)))
    # Tests go by directory: two directories may have a `conftest` each.
    tests = {p.parent for pattern in TESTS for p in ROOT.glob(f"{pattern}/**/test_*.py")}
    for place in sorted(tests):
        session.run("mypy", *(str(p.relative_to(ROOT)) for p in sorted(place.glob("*.py"))))
    session.run("mypy", "noxfile.py")


# (only here
@nox.session(python=PYTHON, tags=["default", "test"], allow_parallel=True)
@nox.parametrize("package", each(PACKAGES))
def test_package(session: nox.Session, package: str) -> None:
    """Test core, api or build; without options, not what `test_clock` tests."""
    names, options = asked(session, PACKAGES)
    if package not in names:
        session.skip("not asked for")
    install(session, "packages")
    install_own(session)
    # Tests of build wait for other programs.
    beside = ["--numprocesses=2", "--dist=loadfile"] if package == "build" else []
    session.run("pytest", f"packages/{package}/tests", *beside, *(options or ["-m", "not clock"]))


# only here)
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


# (only here
@nox.session(python=PYTHON, tags=["default", "test"], allow_parallel=True)
@nox.parametrize("composition", each(COMPOSITIONS))
def test_stress(session: nox.Session, composition: str) -> None:
    """Kill, overload and stop a composition's containers, which composing does not wait for."""
    with alone_with(f"image-{composition}"):
        check(session, "test-image", composition, COMPOSITIONS, "-m", "stress")


# only here)
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


# (only here
# Of what runs beside each other what takes long begins first.
@nox.session(python=PYTHON, tags=["more"], allow_parallel=True)
def scaffolds(session: nox.Session) -> None:
    """Make model packages of each framework but PyTorch, test each, and serve all together."""
    install(session, "packages")
    install_own(session)
    session.run("pytest", "tests/scaffolds/test_scaffolds.py", *session.posargs)


@nox.session(python=PYTHON, tags=["more"], allow_parallel=True)
def ways_in(session: nox.Session) -> None:
    """Follow the tutorial; start in an empty directory; import models of the original."""
    install(session, "packages")
    install_own(session)
    with alone_with("port-8000"):
        session.run("pytest", "tests/ways_in", *session.posargs)


@nox.session(python=PYTHON, tags=["more"], allow_parallel=True)
def first_model(session: nox.Session) -> None:
    """Time the way from a fitted model's file to a container: four commands in a fresh clone."""
    install(session, "packages")
    session.run("pytest", "tests/scaffolds/test_first_model.py", *session.posargs)


@nox.session(python=PYTHON, venv_backend="venv", tags=["more"], allow_parallel=True)
def scaffold_torch(session: nox.Session) -> None:
    """Make, train and test a model package of PyTorch, with the wheel that pip finds."""
    # pip takes no pin for one that is also wanted with an extra, so the rest is uv's to install.
    uv = [str(TOOLS / "uv"), "pip", "install", "--python", str(Path(session.bin) / "python")]
    locked = ["--require-hashes", "-r", "requirements/packages.txt"]
    need_tools(session)
    session.run(*uv, *locked, external=True)
    install_own(session)
    (framework,) = ROOT.glob("packages/build/src/*/templates/model/frameworks/torch/framework.toml")
    version = tomllib.loads(framework.read_text(encoding="utf-8"))["version"]
    session.install("safetensors", f"torch=={version}")
    session.run("pytest", "tests/scaffolds/test_torch.py", *session.posargs)


@nox.session(python=PYTHON, tags=["test"], allow_parallel=True)
def docs(session: nox.Session) -> None:
    """Hold the documents against the code, and run what they show: `-- --write` renews copies."""
    install(session, "packages")
    install_own(session)
    if "--write" in session.posargs:
        session.env["PYTHONPATH"] = "packages/build/tests"
        session.run("python", "packages/build/tests/written.py")
        session.run("python", "tests/docs/commands_page.py")
        session.run("python", "tests/mutants/mutant_table.py")
        return
    with alone_with("port-8000"), alone_with("image-bundle"):
        documents = ["docs", "faults", "mutants", "mutation", "newcomer"]
        session.run("pytest", *(f"tests/{name}" for name in documents), *session.posargs)


@nox.session(python=PYTHON, tags=["test"], allow_parallel=True)
def site(session: nox.Session) -> None:
    """Build the documentation into `site/`: no warning, no dead link, nothing from elsewhere."""
    install(session, "docs")
    session.env["PYTHONPATH"] = "packages/core/src"
    # A page that is gone is not to be found.
    session.run("rm", "-rf", str(ROOT / "site"), external=True)
    strict = ["--quiet", "--fail-on-warning", "--keep-going", "--fresh-env"]
    doctrees = str(Path(session.create_tmp()) / "doctrees")
    session.run("sphinx-build", *strict, "-c", "docs", "-d", doctrees, ".", "site")
    session.run("pytest", "tests/pages", *session.posargs)


@nox.session(python=PYTHON)
def faults(session: nox.Session) -> None:
    """Bring about the faults of all rows, or of `-- G2 H1`, and write docs/faults.md."""
    install(session, "packages")
    install_own(session)
    table = "tests/faults/fault_table.py"
    tests = str(session.run("python", table, *session.posargs, silent=True)).split()
    results = Path(session.create_tmp()).absolute() / "results.jsonl"
    results.write_text("")
    session.env["STEVEDORE_FAULT_RESULTS"] = str(results)
    codes = [0, 1]  # a failure is written into the table, too
    here = [test for test in tests if not test.startswith(("compositions/", "tests/image/"))]
    if here:
        session.run("pytest", *here, success_codes=codes)
    for name in COMPOSITIONS:
        for command, place in (
            ("test-composition", f"compositions/{name}/tests/"),
            ("test-image", "tests/image/"),
        ):
            if there := [test.split("::")[1] for test in tests if test.startswith(place)]:
                stevedore(session, command, name, ["-k", " or ".join(there)], codes)
    session.run("python", table, "--results", str(results))
    session.run("pytest", "tests/faults/test_fault_table.py")


@nox.session(python=PYTHON)
def mutation(session: nox.Session) -> None:
    """Change our code in small ways and see tests fail: all, or `-- strict_json locks/markers`."""
    install(session, "packages")
    install_own(session)
    session.run("python", "tests/mutation/mutation_table.py", *session.posargs)


@nox.session(python=PYTHON)
def soak(session: nox.Session) -> None:
    """Load a server for an hour, with crashing clients and a fault a minute: `-- --minutes 5`."""
    install(session, "packages")
    install_own(session)
    session.run("python", "packages/api/tests/soak.py", *session.posargs)


@nox.session(python=PYTHON)
def bench(session: nox.Session) -> None:
    """Measure us side by side with other servers and write docs/benchmarks.md."""
    install_bench(session)
    session.run("python", "-m", "benchmarks", "--growth", "--write", *session.posargs)


@nox.session(python=PYTHON, tags=["more"], allow_parallel=True)
def bench_smoke(session: nox.Session) -> None:
    """Test the benchmark and run it for a moment: answers have to be right, no time is checked."""
    install_bench(session)
    session.run("python", "-m", "pytest", "tests/benchmarks")
    short = ["--rounds", "1", "--seconds", "0.5", "--warm-up", "0.2"]
    three = ["--servers", "ceiling,ours,fastapi-async", "--workloads", "W2,W3/64"]
    session.run("python", "-m", "benchmarks", *three, *short, *session.posargs)


# only here)


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


# (only here
def install_bench(session: nox.Session) -> None:
    """Install what runs the benchmark; it installs each server itself."""
    session.install("--require-hashes", "-r", "benchmarks/requirements/harness.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", "packages/core")
    session.install("--no-deps", "--no-build-isolation", "-e", "packages/build")


# only here)
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
