"""Signing with the real minisign; with cosign, what it would be asked."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stevedore_build.errors import SigningFailed
from stevedore_build.signing import KEY_VARIABLE, Signer, check_signature, find_signer

needs_minisign = pytest.mark.skipif(
    shutil.which("minisign") is None, reason="minisign is not installed"
)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Something to sign."""
    file = tmp_path / "sbom.cdx.json"
    file.write_text('{"components": []}\n')
    return file


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A secret key of minisign without a password, as it is configured, and its public one."""
    secret, public = tmp_path / "secret.key", tmp_path / "public.key"
    command = ["minisign", "-G", "-W", "-s", str(secret), "-p", str(public)]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv(KEY_VARIABLE, str(secret))
    return secret, public


def signer() -> Signer:
    """Return the signer that is configured."""
    found = find_signer()
    assert found is not None
    return found


@needs_minisign
def test_sign_and_check(document: Path, keys: tuple[Path, Path]) -> None:
    """A signature holds, is the same when made again, and tells no time."""
    signature = signer().sign_file(document)
    assert signature.name == "sbom.cdx.json.minisig"
    check_signature(document, public_key=keys[1])
    text = signature.read_text()
    assert "trusted comment: sbom.cdx.json\n" in text
    assert signer().sign_file(document).read_text() == text


@needs_minisign
def test_every_flipped_byte(document: Path, keys: tuple[Path, Path]) -> None:
    """Whichever byte of a document changes, its signature does not hold any more."""
    signer().sign_file(document)
    content = document.read_bytes()
    for place in range(len(content)):
        document.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(SigningFailed) as refused:
            check_signature(document, public_key=keys[1])
        assert str(refused.value) == (
            "the signature of `sbom.cdx.json` does not hold: `minisign` ended with 1:\n"
            "Signature verification failed"
        )


@needs_minisign
def test_key_of_someone_else(document: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Who else signs, signs in vain."""
    signer().sign_file(document)
    other = tmp_path / "other.pub"
    subprocess.run(
        ["minisign", "-G", "-W", "-s", str(tmp_path / "other.key"), "-p", str(other)],
        check=True,
        capture_output=True,
    )
    with pytest.raises(SigningFailed, match=re.escape("the signature of `sbom.cdx.json` does not")):
        check_signature(document, public_key=other)
    assert keys[1].read_text() != other.read_text()


def test_no_signature(document: Path, tmp_path: Path) -> None:
    """A document without one is not taken for signed."""
    public = tmp_path / "public.key"
    public.write_text("untrusted comment: minisign public key\n")
    with pytest.raises(SigningFailed) as refused:
        check_signature(document, public_key=public)
    assert str(refused.value) == (
        "`sbom.cdx.json` has no signature: expected `sbom.cdx.json.minisig` beside it"
    )


@pytest.fixture
def cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that takes the place of cosign, and the file that gets its arguments."""
    told = tmp_path / "told"
    program = tmp_path / "bin" / "cosign"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> "{told}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    key = tmp_path / "cosign.key"
    key.write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    monkeypatch.setenv(KEY_VARIABLE, str(key))
    return told


def test_cosign(document: Path, cosign: Path, tmp_path: Path) -> None:
    """What cosign is asked for: no service is, and no public log is told."""
    signature = signer().sign_file(document)
    image = "registry.invalid/bundle@sha256:" + "a" * 64
    signer().sign_image(image)
    signature.write_text("{}")
    public = tmp_path / "cosign.pub"
    public.write_text("-----BEGIN PUBLIC KEY-----\n")
    check_signature(document, public_key=public)
    told = re.sub(r"\S+/none\.json", "NONE", cosign.read_text()).replace(f"{tmp_path}/", "")
    assert told.splitlines() == [
        "signing-config create --out NONE",
        (
            "sign-blob --bundle sbom.cdx.json.sigstore.json --yes --key cosign.key "
            "--signing-config NONE sbom.cdx.json"
        ),
        "signing-config create --out NONE",
        f"sign --yes --key cosign.key --signing-config NONE {image}",
        (
            "verify-blob --key cosign.pub --insecure-ignore-tlog=true "
            "--bundle sbom.cdx.json.sigstore.json sbom.cdx.json"
        ),
    ]


def test_cosign_that_fails(document: Path, cosign: Path) -> None:
    """What it said is told."""
    program = cosign.parent / "bin" / "cosign"
    program.write_text("#!/bin/sh\necho no password >&2; exit 3\n")
    with pytest.raises(SigningFailed) as refused:
        signer().sign_file(document)
    assert str(refused.value) == (
        f"`{document}` could not be signed: `cosign` ended with 3:\nno password"
    )


@pytest.mark.usefixtures("cosign")
def test_image_without_digest() -> None:
    """A name can be moved to another image; what is signed cannot."""
    with pytest.raises(SigningFailed) as refused:
        signer().sign_image("registry.invalid/bundle:1.0.0")
    assert str(refused.value) == (
        "`registry.invalid/bundle:1.0.0`: expected an image by digest, `NAME@sha256:…`"
    )


def test_image_with_minisign(tmp_path: Path) -> None:
    """It signs files only."""
    one = Signer(tool="minisign", program="minisign", key=tmp_path / "secret.key")
    with pytest.raises(SigningFailed) as refused:
        one.sign_image("registry.invalid/bundle@sha256:0")
    assert str(refused.value) == (
        "`secret.key` is a key of minisign, which signs files only; sign the documents of the "
        "release with it, or name a key of cosign in `STEVEDORE_SIGNING_KEY`"
    )


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key nothing is signed, and nothing is wrong."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert find_signer() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ssh-ed25519 AAAA",
            (
                "`STEVEDORE_SIGNING_KEY`: `a.key`: expected a key of minisign or of cosign, found "
                "neither"
            ),
        ),
        (
            "untrusted comment: minisign encrypted secret key\n",
            "the key is one of minisign, and `minisign` is not installed",
        ),
    ],
)
def test_unusable_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """A key that cannot be used is an error: whoever named one wants signatures."""
    (tmp_path / "a.key").write_text(text)
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "a.key"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SigningFailed) as refused:
        find_signer()
    assert str(refused.value) == message


def test_absent_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for one that is not there."""
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "a.key"))
    with pytest.raises(SigningFailed, match=r"\Athe key `a.key` cannot be read: "):
        find_signer()
