"""What a lock turns into: directories named by the digest of what they were made from.

`joining` puts them together for this machine, `images.tars` makes one tar of each.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path, PurePosixPath
from typing import Final

from stevedore_build.console import step
from stevedore_build.inventory.shipped import shipped_in
from stevedore_build.layouts.bytecode import compile_bytecode
from stevedore_build.layouts.installed import refuse_clashes, set_modes, tidy
from stevedore_build.layouts.interpreters import Interpreter, find_interpreter
from stevedore_build.layouts.machines import refuse_other_machines
from stevedore_build.layouts.shared_libraries import needed_libraries, refuse_missing
from stevedore_build.locks.markers import on_platform
from stevedore_build.platforms import Platform
from stevedore_build.processes import run, uv_program
from stevedore_build.store import Store
from stevedore_build.weights.cache import place
from stevedore_build.weights.fetched import ModelWeights, weights_of
from stevedore_build.wheels.building import refuse_other_content, stored_wheel
from stevedore_build.workspace import OWN_PREFIX
from stevedore_core.layout import IMAGE_ROOT
from stevedore_core.lock import Environment, Lock, LockedModel
from stevedore_core.manifest import Manifest
from stevedore_core.requirements_files import Pin, format_pins

__all__ = ["SBOM", "Layer", "layers_of"]

SBOM: Final = "sbom.cdx.json"
"""The name of the bill of materials beside the lock."""

_FORMAT: Final = "layer 1"
"""Changes when the same inputs would give other files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One directory of a layout, complete and never changed again."""

    name: str
    digest: str
    """sha256 of what the layer was made from; equal digests mean equal files."""
    directory: Path

    @property
    def target(self) -> PurePosixPath:
        """Where the content of `directory` stands inside an image."""
        return PurePosixPath(IMAGE_ROOT, self.name)


def layers_of(
    manifest: Manifest,
    lock: Lock,
    *,
    store: Store,
    platform: Platform,
    libraries: AbstractSet[str] | None,
) -> tuple[Layer, ...]:
    """Make the layers of a lock, in order from what changes least to what changes most.

    `libraries` are the shared libraries that the machine or the base image provides, `None` if
    that is not known. Layers that exist already are not made again. Raises `LayerRefused` for what
    must not be served.
    """
    maker = _Maker(
        store=store,
        platform=platform,
        interpreter=find_interpreter(lock.python, store=store),
        libraries=libraries,
    )
    weights = weights_of(lock, store=store)
    below = (
        *{one.place: maker.weights(one) for one in weights}.values(),
        *(maker.environment(environment) for environment in lock.environments),
        maker.own({w.distribution: stored_wheel(w, store=store) for w in lock.wheels}),
        *(maker.model(model, stored_wheel(model, store=store)) for model in lock.models),
    )
    return (*below, maker.composition(manifest, lock, below, weights))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Maker:
    """Makes layers for one platform."""

    store: Store
    platform: Platform
    interpreter: Interpreter
    libraries: AbstractSet[str] | None

    def weights(self, weights: ModelWeights) -> Layer:
        """Lay down the files that are fetched for a model. Nothing of it depends on a machine."""

        def fill(directory: Path) -> None:
            for file in weights.files:
                place(file, directory / file.name, model=weights.model.name, store=self.store)

        return self._made(weights.place, [str(PurePosixPath(IMAGE_ROOT, weights.place))], fill)

    def environment(self, environment: Environment) -> Layer:
        """Install the third-party distributions of one environment."""
        name = f"environments/{environment.name}"
        pins = on_platform(environment.pins, self.platform, self.interpreter.version)
        layer = self._layer(
            name,
            [self.platform.name, *(pin.line() for pin in pins)],
            lambda place: self._install(name, pins, place),
        )
        refuse_clashes(name, layer.directory)  # a kept one too: what is refused may have grown
        if self.libraries is not None:
            refuse_missing(name, self._needed(layer), self.libraries)
        return layer

    def own(self, wheels: Mapping[str, Path]) -> Layer:
        """Unpack core and api, each into a directory of its own."""

        def fill(place: Path) -> None:
            for distribution, wheel in wheels.items():
                _unpack(wheel, place / distribution.removeprefix(OWN_PREFIX))

        return self._layer("own", [wheel.parent.name for wheel in wheels.values()], fill)

    def model(self, model: LockedModel, wheel: Path) -> Layer:
        """Unpack one model package."""
        name = f"models/{model.name}/{model.version}"
        return self._layer(name, [wheel.parent.name], lambda place: _unpack(wheel, place))

    def composition(
        self,
        manifest: Manifest,
        lock: Lock,
        below: Sequence[Layer],
        weights: Sequence[ModelWeights],
    ) -> Layer:
        """Write the manifest, the lock, and the bill of materials of all other layers."""

        def fill(place: Path) -> None:
            # Here only: it takes longer to import than everything else together.
            from stevedore_build.inventory.sbom import sbom_of  # noqa: PLC0415

            lock.write(place)
            (place / "composition.toml").write_text(manifest.text, encoding="utf-8")
            shipped = shipped_in([(layer.name, layer.directory) for layer in below], lock)
            sbom = sbom_of(
                lock,
                shipped,
                weights,
                platform=self.platform,
                python=self.interpreter.version,
            )
            (place / SBOM).write_text(sbom, encoding="utf-8")

        inputs = [manifest.sha256, lock.digest, self.platform.name, _sbom_writer()]
        return self._layer("composition", [*inputs, *(layer.digest for layer in below)], fill)

    def _layer(self, name: str, inputs: list[str], fill: Callable[[Path], None]) -> Layer:
        target = PurePosixPath(IMAGE_ROOT, name)

        def fill_and_compile(place: Path) -> None:
            fill(place)
            compile_bytecode(place, target=target, interpreter=self.interpreter)
            set_modes(place)

        inputs = [self.interpreter.version, str(target), *inputs]
        return self._made(name, inputs, fill_and_compile)

    def _made(self, name: str, inputs: list[str], fill: Callable[[Path], None]) -> Layer:
        digest = hashlib.sha256(json.dumps([_FORMAT, *inputs]).encode()).hexdigest()
        directory = self.store.layers / digest
        if not directory.is_dir():
            with self.store.adding(directory) as draft:
                draft.mkdir()
                fill(draft)
        return Layer(name=name, digest=digest, directory=directory)

    def _install(self, name: str, pins: tuple[Pin, ...], place: Path) -> None:
        listed = place.parent / "requirements.txt"
        listed.write_text(format_pins(pins), encoding="utf-8")
        command = [uv_program(), "pip", "install", "--quiet", "--target", str(place), "--no-deps"]
        command += ["--require-hashes", "--only-binary", ":all:", "--link-mode", "copy"]
        command += ["--python-platform", self.platform.wheels]
        command += ["--python", str(self.interpreter.program), "--requirements", str(listed)]
        with step(f"Installing `{name}` for {self.platform.name}, {len(pins)} distributions"):
            run(command, cwd=place.parent)
            tidy(place)
            refuse_clashes(name, place)
            refuse_other_machines(name, place, self.platform.architecture)

    def _needed(self, layer: Layer) -> Mapping[str, str]:
        """Read which shared libraries a layer needs; found once, kept beside it."""
        file = layer.directory.with_suffix(".needed.json")
        if not file.is_file():
            self.store.write(file, json.dumps(needed_libraries(layer.directory), indent=1))
        needed: Mapping[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return needed


def _sbom_writer() -> str:
    """Return what writes the bill of materials: another version may write other bytes."""
    return f"sbom 1, cyclonedx {installed_version('cyclonedx-python-lib')}"


def _unpack(wheel: Path, place: Path) -> None:
    """Unpack one of our own wheels: they hold pure Python and nothing to be put elsewhere.

    Its directory is named by the sha256 that is locked, and that is what it must have.
    """
    refuse_other_content(wheel)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
