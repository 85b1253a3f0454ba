"""Figures of all films together, with intervals by patients."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ...runtime.explanations import METHODS
from ...runtime.figures import Figure
from ..metrics import bootstrap_mean
from ..resampling import draw_patients, number_patients
from .records import FilmFigures, MapFigures, MethodQuality

Rows = Sequence[tuple[str, MapFigures]]
Value = Callable[[MapFigures], float | None]


def summarise(films: Sequence[FilmFigures]) -> tuple[MethodQuality, ...]:
    """One method after the other, in the order of the films' own."""
    names = dict.fromkeys(m.method for f in films for m in f.maps)
    return tuple(
        _method(name, [(f.patient, m) for f in films for m in f.maps if m.method == name])
        for name in names
    )


def _method(name: str, rows: Rows) -> MethodQuality:
    method, patients = METHODS[name], [who for who, _ in rows]
    return MethodQuality(
        method=name,
        source=method.source,
        passes=method.passes,
        films=len(rows),
        flat=sum(m.flat for _, m in rows),
        deletion=bootstrap_mean([m.deletion for _, m in rows], patients),
        insertion=bootstrap_mean([m.insertion for _, m in rows], patients),
        gain=mean_difference([m.insertion - m.deletion for _, m in rows], patients),
        lung_mass=_share(rows, lambda m: None if m.lungs is None else m.lungs.mass),
        lung_hits=_share(rows, lambda m: None if m.lungs is None else float(m.lungs.hit)),
        box_mass=_share(rows, lambda m: None if m.box is None else m.box.mass),
        box_hits=_share(rows, lambda m: None if m.box is None else float(m.box.hit)),
        random_rank=_share(rows, lambda m: None if m.random is None else abs(m.random.rank)),
        random_ssim=_mean(rows, lambda m: None if m.random is None else m.random.ssim),
        float_rank=_mean(rows, lambda m: None if m.float_map is None else m.float_map.rank),
        float_ssim=_mean(rows, lambda m: None if m.float_map is None else m.float_map.ssim),
    )


def _told(rows: Rows, value: Value) -> tuple[list[float], list[str]]:
    """The figures that films have, and whose films they are."""
    told = [(found, who) for who, m in rows if (found := value(m)) is not None]
    return [found for found, _ in told], [who for _, who in told]


def _share(rows: Rows, value: Value) -> Figure | None:
    """Of figures within 0..1."""
    values, patients = _told(rows, value)
    return bootstrap_mean(values, patients) if values else None


def _mean(rows: Rows, value: Value) -> Figure | None:
    """Of figures that may be negative."""
    values, patients = _told(rows, value)
    return mean_difference(values, patients) if values else None


def mean_difference(values: ArrayLike, patients: Sequence[str]) -> Figure:
    """The mean of one figure a film that may be negative, its interval from resampling patients.

    Where all resamples agree the interval is that one value.
    """
    value = np.asarray(values, np.float64).reshape(-1)
    cluster = number_patients(patients)
    n = int(cluster.max()) + 1
    draws = draw_patients(n)
    totals = draws @ np.bincount(cluster, weights=value, minlength=n)
    means = totals / (draws @ np.bincount(cluster, minlength=n))
    low, high = (float(v) for v in np.percentile(means, (2.5, 97.5)))
    mean = float(value.mean())
    return Figure(mean, min(low, mean), max(high, mean), len(value), n)
