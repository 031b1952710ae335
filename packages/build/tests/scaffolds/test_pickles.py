"""Files that run code when they are loaded are told by their content."""

import io
import json
import pickle
import zipfile
import zlib
from pathlib import Path

import pytest

from stevedore_build.errors import ScaffoldRefused
from stevedore_build.scaffolds.pickles import refuse_pickles

SKOPS = "`skops.io.dump(model, 'model.skops')`"
ANY = (
    f"{SKOPS[:-1]}` for scikit-learn, `save_model` of a LightGBM or XGBoost booster, `safetensors` "
    "or an ONNX export for PyTorch"
)


def naming(module: str) -> bytes:
    """Return a pickle that names a module; loading it would import that."""
    return b"\x80\x04\x95" + f"c{module}.models\nModel\n)R.".encode()


def archive(*names: str) -> bytes:
    """Return a zip archive that holds such files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name in names:
            opened.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "kind", "how"),
    [
        ("model.pkl", naming("sklearn.linear_model"), "a pickle", SKOPS),
        ("model.skops", naming("sklearn.linear_model"), "a pickle", SKOPS),
        (
            "model.txt",
            naming("lightgbm.sklearn"),
            "a pickle",
            "`model.booster_.save_model('model.txt')`",
        ),
        (
            "model.json",
            naming("xgboost.sklearn"),
            "a pickle",
            "`model.get_booster().save_model('model.ubj')`",
        ),
        (
            "model.npz",
            naming("statsmodels.regression"),
            "a pickle",
            "`numpy.savez('model.npz', **arrays)` with its parameters",
        ),
        (
            "model.safetensors",
            archive("archive/data.pkl", "archive/data/0"),
            "a PyTorch archive",
            "`safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`",
        ),
        ("model.joblib", zlib.compress(b"whatever"), "a compressed pickle", ANY),
        ("model.pt", b"no bytes that are known", "a pickle", ANY),
        *[
            (f"protocol-{protocol}.onnx", pickle.dumps([1], protocol), "a pickle", ANY)
            for protocol in (2, 3, 4, 5)
        ],
    ],
)
def test_pickle_is_refused(tmp_path: Path, name: str, content: bytes, kind: str, how: str) -> None:
    """Whatever it is called, a pickle is refused, and the message says how to write it anew."""
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ScaffoldRefused) as refused:
        refuse_pickles(file)
    assert str(refused.value) == (
        f"`{file}` is {kind}, which runs whatever code it holds when it is loaded; load it where "
        f"you trust it, and write it anew with {how}"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.skops", archive("schema.json", "1.npy")),
        ("model.npz", archive("coefficients.npy")),
        ("model.json", json.dumps({"learner": {}}).encode()),
        ("model.txt", b"tree\nversion=v4\n"),
        ("model.onnx", b"\x08\x08\x12\x07digits"),
        ("model.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner"),
        ("model.safetensors", b"\x40\x00\x00\x00\x00\x00\x00\x00{}"),
        ("empty", b""),
    ],
)
def test_other_files_are_left_alone(tmp_path: Path, name: str, content: bytes) -> None:
    """Formats that execute nothing pass."""
    file = tmp_path / name
    file.write_bytes(content)
    refuse_pickles(file)
