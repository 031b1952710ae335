"""Signatures of documents and of pushed images, by `minisign` or `cosign`, whichever a key is for.

Called by the command line, and by whatever releases or pushes a composition. No key is made here.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stevedore_build.errors import SigningFailed, ToolFailed
from stevedore_build.processes import run

__all__ = ["KEY_VARIABLE", "Signer", "check_signature", "find_signer"]

KEY_VARIABLE: Final = "STEVEDORE_SIGNING_KEY"
"""Names the file of a secret key: of minisign, or of cosign, which wants `COSIGN_PASSWORD` too."""

_SIGNATURES: Final = {"minisign": ".minisig", "cosign": ".sigstore.json"}
"""What the name of a signature adds to that of the file it is for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signer:
    """A secret key, and the program that signs with it."""

    tool: str
    program: str
    key: Path

    @property
    def signs_images(self) -> bool:
        """Whether it can sign more than files."""
        return self.tool == "cosign"

    def sign_file(self, file: Path) -> Path:
        """Write a file's signature beside it and return where. Raises `SigningFailed`."""
        signature = file.with_name(file.name + _SIGNATURES[self.tool])
        if self.tool == "minisign":
            # A comment of ours: the one by default tells the time.
            arguments = ["-S", "-s", str(self.key), "-m", str(file), "-x", str(signature)]
            self._run([*arguments, "-t", file.name], str(file))
        else:
            self._run_cosign(["sign-blob", "--bundle", str(signature)], str(file))
        return signature

    def sign_image(self, reference: str) -> None:
        """Sign an image in a registry, named by its digest; only cosign can.

        Raises `SigningFailed`.
        """
        if not self.signs_images:
            raise SigningFailed(
                f"`{self.key.name}` is a key of {self.tool}, which signs files only; sign the "
                f"documents of the release with it, or name a key of cosign in `{KEY_VARIABLE}`"
            )
        if "@sha256:" not in reference:
            raise SigningFailed(f"`{reference}`: expected an image by digest, `NAME@sha256:…`")
        self._run_cosign(["sign"], reference)

    def _run_cosign(self, command: list[str], what: str) -> None:
        """Run cosign so that it asks no service and tells no public log what was signed."""
        with tempfile.TemporaryDirectory() as room:
            services = str(Path(room, "none.json"))
            self._run(["signing-config", "create", "--out", services], what)
            flags = ["--yes", "--key", str(self.key), "--signing-config", services]
            self._run([*command, *flags, what], what)

    def _run(self, arguments: list[str], what: str) -> None:
        try:
            run([self.program, *arguments])
        except ToolFailed as failed:
            raise SigningFailed(f"`{what}` could not be signed: {failed}") from failed


def find_signer() -> Signer | None:
    """Return what signs here, by the key that `STEVEDORE_SIGNING_KEY` names; None without one.

    Raises `SigningFailed` for a key that is not there or of no known kind, or without its program.
    """
    named = os.environ.get(KEY_VARIABLE)
    if not named:
        return None
    key = Path(named)
    tool = _tool_of(_text(key), f"`{KEY_VARIABLE}`: `{key.name}`")
    return Signer(tool=tool, program=_program(tool), key=key)


def check_signature(file: Path, *, public_key: Path) -> None:
    """Raise `SigningFailed` unless the signature beside a file is by the owner of a public key."""
    tool = _tool_of(_text(public_key), f"`{public_key.name}`")
    signature = file.with_name(file.name + _SIGNATURES[tool])
    if not signature.is_file():
        raise SigningFailed(
            f"`{file.name}` has no signature: expected `{signature.name}` beside it"
        )
    if tool == "minisign":
        arguments = ["-V", "-p", str(public_key), "-m", str(file), "-x", str(signature)]
    else:
        arguments = ["verify-blob", "--key", str(public_key), "--insecure-ignore-tlog=true"]
        arguments += ["--bundle", str(signature), str(file)]
    try:
        run([_program(tool), *arguments])
    except ToolFailed as failed:
        raise SigningFailed(f"the signature of `{file.name}` does not hold: {failed}") from failed


def _text(key: Path) -> str:
    try:
        return key.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SigningFailed(f"the key `{key.name}` cannot be read: {error}") from error


def _tool_of(text: str, where: str) -> str:
    if text.startswith("untrusted comment:"):
        return "minisign"
    if text.startswith(("-----BEGIN ENCRYPTED ", "-----BEGIN PUBLIC KEY-----")):
        return "cosign"
    raise SigningFailed(f"{where}: expected a key of minisign or of cosign, found neither")


def _program(tool: str) -> str:
    program = shutil.which(tool)
    if program is None:
        raise SigningFailed(f"the key is one of {tool}, and `{tool}` is not installed")
    return program
