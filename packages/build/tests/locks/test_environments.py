"""Which models share an environment."""

from itertools import combinations

import pytest

from stevedore_build.locks.environments import environment_order, share_out
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.manifest import Manifest, ModelPin

Places = dict[str, list[str]]


def manifest(*models: str, mode: str = "few") -> Manifest:
    """Return a manifest of models such as `a`, `a@1.1.0` or `a:place`."""
    head = f'name = "x"\nversion = "1.0.0"\npython = "3.11"\nenvironments = "{mode}"\n[models]\n'
    versions: dict[str, list[str]] = {}
    for model in models:
        name, _, version = model.partition(":")[0].partition("@")
        versions.setdefault(name, []).append(version or "1.0.0")
    places = dict(model.split(":") for model in models if ":" in model)
    lines = []
    for name, found in versions.items():
        place = f', environment = "{places[name]}"' if name in places else ""
        pin = found if len(found) > 1 else f'"{found[0]}"'
        lines.append(f"{name} = {{ version = {pin}{place} }}\n")
    return Manifest.from_text(head + "".join(lines), file="composition.toml")


def locked(**places: str) -> Lock:
    """Return a lock that has models in these environments."""
    models = tuple(
        LockedModel(
            name=name,
            version="1.0.0",
            environment=place,
            distribution=name,
            sha256="",
            inputs_sha256="",
            requires=(),
        )
        for name, place in places.items()
    )
    return Lock(
        name="x",
        version="1.0.0",
        python="3.11",
        manifest_sha256="",
        base=None,
        environments=(),
        wheels=(),
        models=models,
    )


def places(
    asked: Manifest, *enemies: str, previous: Lock | None = None, questions: list[str] | None = None
) -> Places:
    """Share models out of which some pairs, such as `ab`, do not fit together."""

    def fits(_: str, pins: tuple[ModelPin, ...]) -> bool:
        names = "".join(pin.name for pin in pins)
        if questions is not None:
            questions.append(names)
        return not any(a + b in enemies or b + a in enemies for a, b in combinations(names, 2))

    found = share_out(asked, fits, previous=previous)
    return {
        place: [p.name if p.version == "1.0.0" else f"{p.name}@{p.version}" for p in pins]
        for place, pins in found.items()
    }


def test_order() -> None:
    """What is named automatically comes first, by its number; then the others, by name."""
    asked = ["onnx", "default-10", "default-1", "alone", "default-2", "default"]
    assert sorted(asked, key=environment_order) == [
        "default",
        "default-1",
        "default-2",
        "default-10",
        "alone",
        "onnx",
    ]


def test_all_together() -> None:
    """What fits together is together, and asked for once."""
    questions: list[str] = []
    assert places(manifest("a", "b", "c"), questions=questions) == {"default": ["a", "b", "c"]}
    assert questions == ["abc"]


def test_first_fit() -> None:
    """Each goes to the first environment that takes it, in manifest order."""
    found = places(manifest("a", "b", "c", "d", "e"), "ab", "ac", "bd", "cd")
    assert found == {"default": ["a", "d", "e"], "default-2": ["b", "c"]}
    assert places(manifest("a", "b", "c"), "ab", "ac", "bc") == {
        "default": ["a"],
        "default-2": ["b"],
        "default-3": ["c"],
    }


def test_first_fit_is_what_one_by_one_gives() -> None:
    """Asking by halves finds the same as asking for every model by itself, for all conflicts."""
    names = "abcd"
    pairs = ["".join(pair) for pair in combinations(names, 2)]
    for count in range(len(pairs) + 1):
        for enemies in combinations(pairs, count):
            expected: list[str] = []
            for name in names:
                for number, members in enumerate(expected):
                    if not any(other + name in enemies for other in members):
                        expected[number] += name
                        break
                else:
                    expected.append(name)
            found = places(manifest(*names), *enemies)
            assert ["".join(members) for members in found.values()] == expected


def test_versions_are_apart() -> None:
    """Two versions of a model never share, and nobody needs to be asked."""
    found = places(manifest("a@1.1.0", "a", "b"))
    assert found == {"default": ["a@1.1.0", "b"], "default-2": ["a"]}


def test_previous_places_stay() -> None:
    """A model stays where it was, though it would fit further ahead."""
    before = locked(a="default", b="default-2", c="default")
    assert places(manifest("a", "b", "c"), previous=before) == {
        "default": ["a", "c"],
        "default-2": ["b"],
    }


def test_previous_place_that_no_longer_fits() -> None:
    """Who fits no longer moves; the others stay."""
    before = locked(a="default", b="default", c="default-2")
    found = places(manifest("a", "b", "c", "d"), "ab", "bc", previous=before)
    assert found == {"default": ["a", "d"], "default-2": ["c"], "default-3": ["b"]}


def test_a_name_like_those_given_automatically() -> None:
    """Who is new goes to `default` before `default-1`, which a manifest alone can have named."""
    before = locked(a="default", b="default-1")
    found = places(manifest("a", "b", "c"), "ab", previous=before)
    assert found == {"default": ["a", "c"], "default-1": ["b"]}


def test_who_moves_takes_its_turn() -> None:
    """Who has to move stands in manifest order with those that are new, not behind them."""
    before = locked(a="default", b="default")
    found = places(manifest("a", "b", "c"), "ab", "ac", "bc", previous=before)
    assert found == {"default": ["a"], "default-2": ["b"], "default-3": ["c"]}


def test_previous_place_of_another_version() -> None:
    """A new version goes where the old one was; a name that the manifest gave is none of ours."""
    before = locked(a="default-2", b="default", c="onnx")
    found = places(manifest("a@1.1.0", "b", "c"), previous=before)
    assert found == {"default": ["b", "c"], "default-2": ["a@1.1.0"]}


def test_named_environments() -> None:
    """What the manifest puts somewhere is there; others join it only where it is a default."""
    found = places(manifest("a:onnx", "b", "c:default", "d"), "bc")
    assert found == {"onnx": ["a"], "default": ["c", "d"], "default-2": ["b"]}


def test_one() -> None:
    """All in one, fit or not: resolving says what is wrong."""
    assert places(manifest("a", "b", mode="one"), "ab") == {"default": ["a", "b"]}


def test_each() -> None:
    """Every version of a model by itself, and again where it was."""
    asked = manifest("a", "b@1.1.0", "b", mode="each")
    expected = {"default": ["a"], "default-2": ["b@1.1.0"], "default-3": ["b"]}
    assert places(asked) == expected
    stays = places(manifest("b", "a", mode="each"), previous=locked(a="default", b="default-2"))
    assert stays == {"default": ["a"], "default-2": ["b"]}


@pytest.mark.parametrize(
    ("mode", "models", "expected"),
    [
        ("few", "abcd", {"default": "ad", "default-2": "b", "default-3": "c"}),
        ("each", "abc", {"default": "a", "default-2": "b", "default-3": "c"}),
        ("few", "b", {"default": "b"}),
    ],
)
def test_models_that_cannot_be_alone(mode: str, models: str, expected: dict[str, str]) -> None:
    """Each gets an environment by itself, so that resolving says what is wrong with it."""

    def fits(_: str, pins: tuple[ModelPin, ...]) -> bool:
        return {"b", "c"}.isdisjoint(pin.name for pin in pins)

    found = share_out(manifest(*models, mode=mode), fits, previous=None)
    assert {place: "".join(pin.name for pin in pins) for place, pins in found.items()} == expected
