"""The frameworks that the template of model packages knows."""

import pytest

from stevedore_build.errors import ScaffoldRefused
from stevedore_build.scaffolds.frameworks import find_framework, frameworks


def test_each_is_found_by_its_directory() -> None:
    """A framework has all the parts that the template's README asks for."""
    found = frameworks()
    assert {"numpy", "python", "sklearn"} <= set(found)
    for framework in found.values():
        files = {file.name for file in framework.directory.iterdir()}
        needed = {"framework.toml", "requires.jinja", "predictor.py.jinja", "train.py.jinja"}
        needed |= {"probe.py"} if framework.suffixes else set()
        assert needed <= files, framework.name


def test_suffixes_can_be_told_apart() -> None:
    """Where two frameworks write files of one suffix, each has a mark of its own."""
    suffixes = {suffix for framework in frameworks().values() for suffix in framework.suffixes}
    for suffix in suffixes:
        sharing = [f for f in frameworks().values() if suffix in f.suffixes]
        marks = [framework.mark for framework in sharing]
        assert len(sharing) == 1 or ("" not in marks and len(set(marks)) == len(marks)), suffix


def test_unknown_framework() -> None:
    """A name that no framework has is refused with those that there are."""
    with pytest.raises(ScaffoldRefused) as refused:
        find_framework("scikit-learn")
    listed = ", ".join(f"`{name}`" for name in frameworks())
    assert str(refused.value) == f"there is no framework `scikit-learn`; there are {listed}"
