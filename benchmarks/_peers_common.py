"""What a peer is: somebody else's network, exported to ONNX by its own library, asked like ours.

A room (`_peers_mobilesam`, `_peers_fastsam`, `_peers_nnunet`) tells how to build one with torch and
how to ask it with numpy and ONNX Runtime alone, so that all are compared in one
engine.
"""

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clinicedge.runtime.boxes import Boxes

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
OPSET = 17
# Of the largest value of an output, or of 1.
TOLERANCE = 1e-3
SEED = 20260101
# torchvision's compiled part fails beside a torch without CUDA; the peers need two names of it.
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_KEPT: list[object] = []


class PeerError(Exception):
    """A peer cannot be built or asked here; the words go into its row."""


class Outliner(Protocol):
    """An opened peer."""

    def predict(self, pixels: Pixels, boxes: Boxes) -> Mask:
        """The mask (H, W) of a film uint8 (H, W); `boxes` in its pixels, for those that need one.

        Raises:
            PeerError: it needs a box and got none.
        """
        ...


@dataclass(frozen=True)
class Wish:
    """What is built: into which folder, with which weights (None: random values), for films of
    which size (H, W)."""

    folder: Path
    weights: Path | None
    film_size: tuple[int, int]


@dataclass(frozen=True)
class Peer:
    """A network to compare with.

    Attributes:
        title: as the table calls it.
        prompt: what a person must give beside the film.
        needs: distributions with the version that was tried; `install` brings them.
        export: writes its ONNX files, by torch; runs in a process of its own.
        open: opens those files with so many threads.
        remark: what a reader of its row should know.
        untrained: what he should know of its time where its values are random, or "".
    """

    title: str
    prompt: str
    licence: str
    needs: Mapping[str, str]
    install: str
    export: Callable[[Wish], None]
    open: Callable[[Path, int], Outliner]
    remark: str
    untrained: str = ""


def require(peer: Peer) -> None:
    """Stop where a library of the peer is missing, or is not the version that was tried.

    Raises:
        PeerError: which, and how to install it.
    """
    wrong = []
    for name, version in peer.needs.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} {version} is not installed")
        else:
            if found != version:
                wrong.append(f"{name} is {found}, tried was {version}")
    if wrong:
        raise PeerError(f"{'; '.join(wrong)} ({peer.licence}): {peer.install}")


def library(name: str) -> Any:
    """A peer's module; what torchvision lacks beside a CPU torch is declared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module("torchvision")
        except RuntimeError:
            _declare_operators()
        return importlib.import_module(name)


def _declare_operators() -> None:
    torch_library: Any = importlib.import_module("torch.library")
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    declared = torch_library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        declared.define(operator)
    # The operators go when it goes.
    _KEPT.append(declared)


def seeded(build: Callable[[], Any]) -> Any:
    """A torch network by its library's own initial values, the same on every run, for inference."""
    torch: Any = importlib.import_module("torch")
    torch.manual_seed(SEED)
    return build().eval()


def load_values(network: Any, weights: Path | None) -> None:
    """Put the values of a checkpoint into a network; None leaves the random ones.

    Read without executing what a pickle may hold; a trainer's wrapping is taken off.

    Raises:
        PeerError: it is no state_dict of this network.
    """
    if weights is None:
        return
    torch: Any = importlib.import_module("torch")
    refused = (OSError, RuntimeError, AttributeError, ValueError, UnpicklingError)
    try:
        values = torch.load(weights, map_location="cpu", weights_only=True)
        for wrapping in ("network_weights", "state_dict", "model"):
            values = values.get(wrapping, values)
        network.load_state_dict(values)
    except refused as err:
        words = " ".join(str(err).splitlines()[:2])
        if isinstance(err, UnpicklingError):
            words = "it holds more than tensors, or none, and was not executed"
        raise PeerError(
            f"{weights.name} is no state_dict of this network: {words}. Save the network's "
            "`state_dict()` with torch.save."
        ) from err


def write_onnx(network: Any, inputs: Mapping[str, Any], path: Path, outputs: list[str]) -> None:
    """Export a torch network and compare; inputs by name in the order of its forward.

    Raises:
        PeerError: on the same inputs the file answers otherwise than the network.
    """
    torch: Any = importlib.import_module("torch")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            dynamo=False,
        )
        wanted = network(*inputs.values())
    feed = {name: value.numpy() for name, value in inputs.items()}
    found = open_onnx(path, 1).run(outputs, feed)
    for name, theirs, ours in zip(outputs, _as_tuple(wanted), found, strict=True):
        far = float(np.abs(theirs.numpy() - ours).max())
        allowed = TOLERANCE * max(1.0, float(np.abs(ours).max()))
        if not far <= allowed:
            raise PeerError(
                f"{path.name}: '{name}' is {far:.2g} from what the library's network answers; "
                f"at most {allowed:.2g} was expected. Use the versions that were tried"
            )


def _as_tuple(answer: Any) -> tuple[Any, ...]:
    return tuple(answer) if isinstance(answer, (tuple, list)) else (answer,)


def open_onnx(path: Path, threads: int) -> Any:
    """An ONNX Runtime session on the CPU, set as the runtime sets its own."""
    ort: Any = importlib.import_module("onnxruntime")
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
