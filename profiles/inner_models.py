"""The models that a bundle consists of, each once."""

from dataclasses import dataclass

from ..runtime.bundle import Bundle


@dataclass(frozen=True)
class InnerModel:
    """A model bundle and its paths in the pipeline, e.g. "first/lungs"; of a model alone ()."""

    paths: tuple[str, ...]
    bundle: Bundle

    @property
    def where(self) -> str:
        """The paths in words; "" of a model alone."""
        return ", ".join(self.paths)


def inner_models(bundle: Bundle) -> tuple[InnerModel, ...]:
    """In the order of the manifest; what lies in a pipeline twice comes once with both paths.

    Raises:
        ArtifactError, IntegrityError, SchemaError: as `Bundle.models`.
    """
    found: dict[str, InnerModel] = {}
    for path, model in bundle.models():
        known = found.get(model.id, InnerModel((), model))
        found[model.id] = InnerModel((*known.paths, *filter(None, (path,))), known.bundle)
    return tuple(found.values())
