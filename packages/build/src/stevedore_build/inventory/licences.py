"""The licence of a distribution in a layout, as its own metadata states it, and the list of all.

`sbom` tells of each, `images.documents` puts the list beside a release.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePosixPath
from typing import Final

from stevedore_build.inventory.shipped import Shipped
from stevedore_core.layout import IMAGE_ROOT

__all__ = ["UNKNOWN", "Licence", "licence_of", "licences_text", "without_licence"]

UNKNOWN: Final = "unknown"
"""What stands in place of a licence where a distribution states none."""

_FILE: Final = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE)", re.IGNORECASE)
_CLASSIFIER: Final = re.compile(r"License :: (?:OSI Approved :: )?(?!OSI Approved$)(.+)")
_LONGEST_NAME: Final = 100
"""A longer `License` field holds the text of a licence, not its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """What a distribution says about its licence.

    `expression` is an SPDX expression, `names` are what older metadata has in its place. `files`
    are paths inside the `.dist-info`.
    """

    expression: str | None
    names: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def stated(self) -> str:
        """The licence in words, or `unknown`."""
        return self.expression or " or ".join(self.names) or UNKNOWN


def licence_of(shipped: Shipped) -> Licence:
    """Return the licence that a distribution states, and the files in which it does."""
    info = shipped.info
    files = (path for path in info.rglob("*") if path.is_file())
    named = (p for p in files if _FILE.match(p.name) or "licenses" in p.relative_to(info).parts)
    return Licence(
        expression=shipped.metadata["License-Expression"],
        names=_names(shipped.metadata),
        files=tuple(sorted(path.relative_to(info).as_posix() for path in named)),
    )


def without_licence(shipped: Iterable[Shipped]) -> tuple[str, ...]:
    """Return the distributions that state no licence, each once."""
    found = {f"`{s.name}` {s.version}" for s in shipped if licence_of(s).stated == UNKNOWN}
    return tuple(sorted(found))


def licences_text(title: str, shipped: Iterable[Shipped]) -> str:
    """Return the list of every distribution that is shipped, with its licence and where that is."""
    lines = [f"Licences of what {title} ships, as each distribution states them", ""]
    for entry in shipped:
        licence = licence_of(entry)
        lines.append(f"{entry.place}: {entry.name} {entry.version}: {licence.stated}")
        lines += [f"    {PurePosixPath(IMAGE_ROOT, entry.path, file)}" for file in licence.files]
    return "\n".join(lines) + "\n"


def _names(metadata: Message) -> tuple[str, ...]:
    classifiers = (_CLASSIFIER.fullmatch(c) for c in metadata.get_all("Classifier") or [])
    names = tuple(sorted({found[1] for found in classifiers if found}))
    field = " ".join(str(metadata["License"] or "").split())
    if names or not field or field == UNKNOWN.upper() or len(field) > _LONGEST_NAME:
        return names
    return (field,)
