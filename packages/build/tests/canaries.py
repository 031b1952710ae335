"""Secrets that lie about where an image is built: planted, and looked for afterwards."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import tiny

__all__ = ["FOUND_IN_PACKAGE", "plant", "plant_in_package", "spilt"]

FOUND_IN_PACKAGE = "canary-in-a-package"

_FILES = (
    ".env",
    ".git/credentials",
    "id_rsa",
    "compositions/pair/.env",
    "models/iris/.env",
    "models/iris/src/stevedore_model_iris/.env",
    "models/iris/tests/token.txt",
)
"""Only the last one is tracked: it is outside of the package that is shipped."""

_HOME = {
    ".netrc": "machine index.invalid login me password {}\n",
    ".pypirc": "[index]\npassword = {}\n",
}
_VARIABLES = {
    "PIP_INDEX_URL": "https://me:{}@index.invalid/simple",
    "UV_INDEX": "https://me:{}@index.invalid/simple",
    "AWS_SECRET_ACCESS_KEY": "{}",
}


def plant(root: Path, home: Path, patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Put secrets into a repository, a home and the environment, and return them."""
    tiny.write(root / ".git" / "info" / "exclude", ".env\nid_rsa\n")
    planted: list[str] = []
    for file in _FILES:
        planted.append(f"canary-{len(planted)}-of-{file.replace('/', '-')}")
        tiny.write(root / file, f"TOKEN={planted[-1]}\n")
    for file, text in _HOME.items():
        planted.append(f"canary-{len(planted)}-of-home")
        tiny.write(home / file, text.format(planted[-1]))
    patch.setenv("HOME", str(home))
    for name, text in _VARIABLES.items():
        planted.append(f"canary-{len(planted)}-of-{name.lower()}")
        patch.setenv(name, text.format(planted[-1]))
    return tuple(planted)


def plant_in_package(root: Path) -> None:
    """Put a secret where it will be shipped: into a tracked file of a model package."""
    file = root / "models" / "iris" / "src" / "stevedore_model_iris" / "settings.py"
    tiny.write(file, f'TOKEN = "{FOUND_IN_PACKAGE}"\n')


def spilt(planted: Iterable[str], places: Mapping[str, bytes]) -> list[str]:
    """Say which secrets are found in which places."""
    return [
        f"{secret} in {place}"
        for secret in planted
        for place, content in places.items()
        if secret.encode() in content
    ]
