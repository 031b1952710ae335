"""What can go wrong between a manifest and an image.

StevedoreError                (core's)
└── BuildError
    ├── WorkspaceInvalid      a package or a composition of this repository is not as it must be
    ├── ResolutionFailed      no set of distributions fulfils all requirements
    ├── LockStale             the lock does not say what the manifest and the packages say now
    ├── LayerRefused          what was installed must not be served
    ├── CheckFailed           tests were run, and failed
    ├── ToolFailed            a program that this one needs is missing, or failed
    ├── ScaffoldRefused       something new that cannot be made as it was asked for
    ├── ReleaseRefused        a release that would break what a release promises
    ├── FetchFailed           weights cannot be fetched, or are not the recorded ones
    ├── IndexFailed           the index of our own wheels cannot be read
    ├── EngineAbsent          no container engine works here
    ├── EngineFailed          a container engine refused, or broke off
    ├── BaseUnusable          no base image can be had, or it cannot carry the composition
    ├── OriginalRefused       an original `model.py` that no model package can be made of
    ├── ContainerfileRefused  a value that may not stand in a Containerfile
    ├── ImageUnreadable       what is to be verified is no image of a composition
    └── SigningFailed         nothing could be signed, or a signature does not hold
"""

from stevedore_core.errors import StevedoreError

__all__ = [
    "BaseUnusable",
    "BuildError",
    "CheckFailed",
    "ContainerfileRefused",
    "EngineAbsent",
    "EngineFailed",
    "FetchFailed",
    "ImageUnreadable",
    "IndexFailed",
    "LayerRefused",
    "LockStale",
    "OriginalRefused",
    "ReleaseRefused",
    "ResolutionFailed",
    "ScaffoldRefused",
    "SigningFailed",
    "ToolFailed",
    "WorkspaceInvalid",
]


class BuildError(StevedoreError):
    """Something on the way from a manifest to an image went wrong."""


class WorkspaceInvalid(BuildError):
    """A package or a composition of this repository is not as it must be."""


class ResolutionFailed(BuildError):
    """No set of distributions fulfils all requirements."""


class LockStale(BuildError):
    """The lock does not say what the manifest and the packages say now."""


class LayerRefused(BuildError):
    """What was installed must not be served."""


class CheckFailed(BuildError):
    """Tests were run, and failed."""


class ToolFailed(BuildError):
    """A program that this one needs is missing, or failed."""


class ScaffoldRefused(BuildError):
    """Something new cannot be made as it was asked for."""


class ReleaseRefused(BuildError):
    """A release that would break what a release promises."""


class FetchFailed(BuildError):
    """Weights cannot be fetched, or are not the recorded ones."""


class IndexFailed(BuildError):
    """The index of our own wheels cannot be read."""


class EngineAbsent(BuildError):
    """No container engine works here."""


class EngineFailed(BuildError):
    """A container engine refused, or broke off."""


class BaseUnusable(BuildError):
    """No base image can be had, or it cannot carry the composition."""


class OriginalRefused(BuildError):
    """An original `model.py` that no model package can be made of."""


class ContainerfileRefused(BuildError):
    """A value that may not stand in a Containerfile."""


class ImageUnreadable(BuildError):
    """What is to be verified is no image of a composition."""


class SigningFailed(BuildError):
    """Nothing could be signed, or a signature does not hold."""
