"""A threshold bound to the very bytes of the artifact that it was set for."""

from ..runtime.manifest import Threshold
from .films import FilmSet
from .running import Runnable


def bound(artifact: Runnable, label: str, picked: tuple[float, str], films: FilmSet) -> Threshold:
    """`picked`: its value and the rule that chose it on `films`."""
    value, rule = picked
    return Threshold(
        artifact=artifact.artifact_id,
        compute=artifact.compute,
        label=label,
        value=value,
        rule=rule,
        data=films.data,
        part=films.part,
        n_films=len(films),
        artifact_sha256=artifact.sha256,
    )
