"""Telling files that run code when they are loaded, and how to convert what is in them.

`fitted_files` refuses them before anything opens them. Only bytes are looked at.
"""

import zipfile
from pathlib import Path
from typing import Final

from stevedore_build.errors import ScaffoldRefused

__all__ = ["refuse_pickles"]

_LOOKED_AT_BYTES: Final = 1 << 20
_SUFFIXES: Final = (".dill", ".joblib", ".p", ".pickle", ".pkl", ".pt", ".pth")
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x78\x01", b"\x78\x9c", b"\x78\xda")
"""How files begin that joblib compressed."""

_CONVERSIONS: Final = (
    (b"lightgbm", "`model.booster_.save_model('model.txt')`"),
    (b"xgboost", "`model.get_booster().save_model('model.ubj')`"),
    (b"torch", "`safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`"),
    (b"sklearn", "`skops.io.dump(model, 'model.skops')`"),
    (b"statsmodels", "`numpy.savez('model.npz', **arrays)` with its parameters"),
)
"""What a pickle names that holds a model of a framework, and how to write that model instead."""
_ANY_CONVERSION: Final = (
    "`skops.io.dump(model, 'model.skops')` for scikit-learn, `save_model` of a LightGBM or XGBoost "
    "booster, `safetensors` or an ONNX export for PyTorch"
)


def refuse_pickles(file: Path) -> None:
    """Raise `ScaffoldRefused` if loading a file would unpickle; the message says how to convert."""
    kind = _kind(file)
    if kind is None:
        return
    with file.open("rb") as opened:
        content = opened.read(_LOOKED_AT_BYTES)
    if kind == "a PyTorch archive":
        content += b"torch"
    named = [how for name, how in _CONVERSIONS if name in content]
    how = named[0] if named else _ANY_CONVERSION
    raise ScaffoldRefused(
        f"`{file}` is {kind}, which runs whatever code it holds when it is loaded; load it where "
        f"you trust it, and write it anew with {how}"
    )


def _kind(file: Path) -> str | None:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            is_torch = any(name.rpartition("/")[2] == "data.pkl" for name in archive.namelist())
        return "a PyTorch archive" if is_torch else None
    with file.open("rb") as opened:
        first = opened.read(8)
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle"
    if first.startswith(_COMPRESSED):
        return "a compressed pickle"
    return "a pickle" if file.suffix.lower() in _SUFFIXES else None
