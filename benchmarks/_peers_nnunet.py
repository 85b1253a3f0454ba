"""nnU-Net (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z): its plain U-Net.

The rules are those of nnU-Net 2.8's `ExperimentPlanner` in 2D at 8 GB: the patch is the median film
(spacing 1), halved while an edge keeps 4 pixels, 32 features doubled to at most 512, two
convolutions a stage. Pooling comes from its own `get_pool_and_conv_props`, the network from
`dynamic_network_architectures` (both Apache-2.0). A film is scaled to mean 0 and deviation 1,
larger ones go in overlapping tiles. Left out, as by its `--disable_tta`: the average over four
mirrored films, which takes four times as long.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from _peers_common import (
    Mask,
    Peer,
    PeerError,
    Pixels,
    Wish,
    library,
    load_values,
    open_onnx,
    seeded,
    write_onnx,
)

from clinicedge.runtime.boxes import Boxes

BASE, MOST, LEAST_EDGE = 32, 512, 4
# Of the planner: values of all feature maps that fit twice into 8 GB.
FITS = 85_000_000 * 12 / 2
LABELS = 2


def export(wish: Wish) -> None:
    """network.onnx, of one patch.

    Raises:
        PeerError: nnU-Net would cut films of this size into smaller patches.
    """
    import torch

    patch, network = planned(wish.film_size)
    load_values(network, wish.weights)
    film = {"film": torch.rand(1, 1, *patch)}
    write_onnx(network, film, wish.folder / "network.onnx", ["logits"])


def planned(film_size: tuple[int, int]) -> tuple[tuple[int, int], Any]:
    """The patch (H, W) and the network for films of a median size.

    Raises:
        PeerError: as `export`.
    """
    topology = library("nnunetv2.experiment_planning.experiment_planners.network_topology")
    unet = library("dynamic_network_architectures.architectures.unet").PlainConvUNet
    nn: Any = importlib.import_module("torch.nn")
    _, strides, kernels, patch, _ = topology.get_pool_and_conv_props(
        (1.0, 1.0), film_size, LEAST_EDGE, 999999
    )
    stages = len(strides)

    def build() -> Any:
        network = unet(
            input_channels=1,
            n_stages=stages,
            features_per_stage=[min(MOST, BASE * 2**i) for i in range(stages)],
            conv_op=nn.Conv2d,
            kernel_sizes=kernels,
            strides=strides,
            n_conv_per_stage=[2] * stages,
            num_classes=LABELS,
            n_conv_per_stage_decoder=[2] * (stages - 1),
            conv_bias=True,
            norm_op=nn.InstanceNorm2d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
        )
        network.apply(unet.initialize)
        return network

    network = seeded(build)
    height, width = (int(edge) for edge in patch)
    if network.compute_conv_feature_map_size((height, width)) > FITS:
        raise PeerError(
            f"nnU-Net plans smaller patches for films of {film_size[1]} x {film_size[0]} pixels "
            "than a film; that plan is not built here. Give smaller films"
        )
    return (height, width), network


class NnUNet:
    """One graph over one tile or several."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._session = open_onnx(folder / "network.onnx", threads)
        self._patch: tuple[int, int] = tuple(self._session.get_inputs()[0].shape[2:])

    def predict(self, pixels: Pixels, boxes: Boxes) -> Mask:
        """As `Outliner`; boxes are not looked at."""
        scaled = (pixels - pixels.mean(dtype=np.float64)) / max(float(pixels.std()), 1e-8)
        short = [max(0, p - s) for p, s in zip(self._patch, pixels.shape, strict=True)]
        before = [edge // 2 for edge in short]
        edges = [(b, s - b) for b, s in zip(before, short, strict=True)]
        film = np.pad(scaled.astype(np.float32), edges)
        # Of the two labels' logits only the difference decides.
        margin = np.zeros(film.shape, np.float32)
        ys, xs = (starts(film.shape[i], self._patch[i]) for i in (0, 1))
        for y in ys:
            for x in xs:
                here = (slice(y, y + self._patch[0]), slice(x, x + self._patch[1]))
                (logits,) = self._session.run(["logits"], {"film": film[here][None, None]})
                margin[here] += logits[0, 1] - logits[0, 0]
        top, left = before
        height, width = pixels.shape
        return np.asarray(margin[top : top + height, left : left + width] > 0.0)


def starts(length: int, patch: int) -> list[int]:
    """Where tiles begin along an edge: overlapping by at least half, evenly spread."""
    count = int(np.ceil((length - patch) / (patch / 2))) + 1
    places = np.linspace(0, length - patch, count).round().astype(int)
    return [int(place) for place in places]


NNU_NET = Peer(
    title="nnU-Net (plain U-Net)",
    prompt="none",
    licence="Apache-2.0",
    needs={"dynamic-network-architectures": "0.4.4", "nnunetv2": "2.8.1"},
    install="pip install --no-deps -r benchmarks/requirements-peers.txt",
    export=export,
    open=NnUNet,
    remark="planned for these films, without mirroring",
)
