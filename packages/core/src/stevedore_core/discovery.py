"""Finding models by entry point and loading them. The worker and the conformance suite call it.

Three things can go wrong, and each is an error of its own: nothing provides the model
(`ModelAbsent`), loading it raises (`ModelBroken`), or what it loads is not what the contract asks
for (`ModelWrongKind`).
"""

from importlib.metadata import EntryPoint, entry_points

from stevedore_core.errors import ModelAbsent, ModelBroken, ModelWrongKind, PackageError, describe
from stevedore_core.model_package import GROUP
from stevedore_core.predictor import Predictor

__all__ = ["load_model", "model_names", "package_of"]


def model_names() -> list[str]:
    """Return the names of all installed models, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def load_model(name: str) -> Predictor:
    """Import the model package that provides `name` and return its Predictor.

    Raises:
        ModelAbsent: Nothing installed provides it, or the module it names does not exist.
        ModelBroken: Importing or loading raised; the cause is kept.
        ModelWrongKind: Two distributions provide it, the entry point names something else than a
            function, or what that returns is not a Predictor of this name.
    """
    entry = _entry_point(name)
    loader = _import(entry)
    if not callable(loader):
        raise ModelWrongKind(
            f"`{entry.value}` of model `{name}` must be a function, found `{type(loader).__name__}`"
        )
    try:
        predictor = loader()
    except PackageError:
        raise
    except BaseException as error:
        raise ModelBroken(
            f"`{entry.value}` of model `{name}` raised `{describe(error)}`"
        ) from error
    if not isinstance(predictor, Predictor):
        raise ModelWrongKind(
            f"`{entry.value}` of model `{name}` must return a `Predictor`, "
            f"found `{type(predictor).__qualname__}`"
        )
    if not hasattr(predictor, "created"):  # only the contract's own constructor sets it
        raise ModelWrongKind(
            f"`{type(predictor).__qualname__}.__init__` of model `{name}` "
            "must call `super().__init__`"
        )
    if predictor.name != name:
        raise ModelWrongKind(
            f"the Predictor of model `{name}` must have that name, found `{predictor.name}`"
        )
    return predictor


def package_of(name: str) -> str:
    """Return the import name of the package that provides a model, without importing it.

    Raises:
        ModelAbsent: Nothing installed provides it.
        ModelWrongKind: Two distributions provide it.
    """
    return _entry_point(name).module.partition(".")[0]


def _entry_point(name: str) -> EntryPoint:
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        installed = ", ".join(f"`{other}`" for other in model_names()) or "none"
        raise ModelAbsent(
            f"no installed package provides the model `{name}`; installed: {installed}"
        )
    if len(found) > 1:
        owners = ", ".join(sorted(f"`{e.dist.name}`" for e in found if e.dist is not None))
        raise ModelWrongKind(f"model `{name}` is provided more than once, by {owners}")
    return found[0]


def _import(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except BaseException as error:
        match error:
            case ModuleNotFoundError(name=str(name)) if f"{entry.module}.".startswith(f"{name}."):
                raise ModelAbsent(
                    f"model `{entry.name}` names the module `{entry.module}`, which does not exist"
                ) from error
            case AttributeError(obj=module) if getattr(module, "__name__", "") == entry.module:
                raise ModelWrongKind(
                    f"model `{entry.name}`: `{entry.module}` has no `{entry.attr}`"
                ) from error
        raise ModelBroken(f"importing model `{entry.name}` raised `{describe(error)}`") from error
