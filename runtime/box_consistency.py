"""What the manifest of a detector, or of a model that takes boxes, must hold together."""

from .boxes import MAX_BOXES
from .errors import SchemaError
from .manifest import Artifact, Graph, Manifest, TensorSpec
from .spec import BOX, DECODER, ENCODER, DetectionRules, OutputSpec

MAX_CANDIDATES = 10_000
_PAIR = {ENCODER, DECODER}


def check_boxes(manifest: Manifest, where: str) -> None:
    """Refuse a detector without boxes, two graphs that do not fit together, and boxes elsewhere.

    Raises:
        SchemaError: says what was found.
    """
    detects = manifest.kind == "model" and manifest.task == "detection"
    prompted = manifest.kind == "model" and manifest.task == "promptable-segmentation"
    if detects != (manifest.detection is not None):
        raise SchemaError(
            f"{where}: a {manifest.kind} of the task '{manifest.task}' with the detection rules "
            f"{manifest.detection}; expected some of a detector alone. Convert again."
        )
    for artifact in manifest.artifacts:
        _check_graphs(artifact, prompted, where)
    if detects and manifest.detection is not None:
        _check_rules(manifest.detection, where)
        _check_detector(manifest, where)
    if prompted:
        _check_prompted(manifest, where)
    _check_films(manifest, prompted, where)


def _check_rules(rules: DetectionRules, where: str) -> None:
    if not (
        0.0 < rules.nms_iou <= 1.0
        and 1 <= rules.max_boxes <= MAX_BOXES
        and rules.max_boxes <= rules.max_candidates <= MAX_CANDIDATES
    ):
        raise SchemaError(
            f"{where}: {rules}; expected nms_iou above 0 and up to 1, max_boxes in 1..{MAX_BOXES} "
            f"and max_candidates from there to {MAX_CANDIDATES}. Convert again."
        )


def _check_detector(manifest: Manifest, where: str) -> None:
    scores = [o for o in manifest.outputs if o.meaning == "logits"]
    boxes = [o for o in manifest.outputs if o.meaning == "boxes"]
    if len(scores) != 1 or len(boxes) != 1:
        raise SchemaError(
            f"{where}: a detector has the outputs {_told(manifest.outputs)}; expected one of "
            "logits and one of boxes. Convert again."
        )
    (score,), (box,) = scores, boxes
    count = box.shape[0] if box.shape else 0
    fits = box.shape == (count, 4) and score.shape == (count, len(score.labels)) and count > 0
    if not fits or not score.labels or score.activation != "sigmoid":
        raise SchemaError(
            f"{where}: a detector's logits are {score.shape} with {len(score.labels)} labels and "
            f"'{score.activation}', its boxes {box.shape}; expected (N, labels) with a sigmoid, "
            "and (N, 4). Convert again."
        )
    for artifact in manifest.artifacts:
        _check_outputs(manifest, artifact, artifact.graphs[0], where)


def _check_graphs(artifact: Artifact, prompted: bool, where: str) -> None:
    """One graph, or of a promptable model an encoder and a decoder."""
    names = [graph.name for graph in artifact.graphs]
    wanted = sorted(_PAIR) if prompted else None
    if prompted and sorted(names) != wanted:
        raise SchemaError(
            f"{where}: artifact {artifact.id} of a promptable model has the graphs "
            f"{', '.join(names) or 'none'}; expected {ENCODER} and {DECODER}. Convert again."
        )
    if not prompted and len(names) != 1:
        raise SchemaError(
            f"{where}: artifact {artifact.id} has the graphs {', '.join(names) or 'none'}; "
            "expected one. Convert again."
        )


def _check_prompted(manifest: Manifest, where: str) -> None:
    masks = [o for o in manifest.outputs if o.meaning == "mask"]
    if len(masks) != 1 or len(masks[0].labels) != 1 or masks[0].activation != "sigmoid":
        raise SchemaError(
            f"{where}: a promptable model has the outputs {_told(manifest.outputs)}; expected one "
            "mask of one label with a sigmoid. Convert again."
        )
    if manifest.mask is not None and manifest.mask.smooth != 0.0:
        raise SchemaError(
            f"{where}: a promptable model's mask rules smooth by {manifest.mask.smooth}; its "
            "logits are not blurred, so expected 0. Convert again."
        )
    if manifest.explanation is not None:
        raise SchemaError(
            f"{where}: a promptable model has an explanation layer; expected none, for its own "
            "answer is the map. Convert again."
        )
    for artifact in manifest.artifacts:
        _check_pair(manifest, artifact, where)


def _check_pair(manifest: Manifest, artifact: Artifact, where: str) -> None:
    """Whether the decoder takes what the encoder gives, and a box."""
    encoder, decoder = artifact.graph(ENCODER), artifact.graph(DECODER)
    spec = manifest.input
    film = () if spec is None else ((spec.name, (1, *spec.shape)),)
    if _pairs(encoder.inputs) != film:
        raise SchemaError(
            f"{where}: the encoder of {artifact.id} takes {_shapes(encoder.inputs)}; expected the "
            f"film alone, {dict(film)}. Convert again."
        )
    given = {*_pairs(encoder.outputs), (BOX, (1, 4))}
    taken = _pairs(decoder.inputs)
    missing = [t for t in decoder.inputs if (t.name, t.shape) not in given]
    if missing or (BOX, (1, 4)) not in taken:
        raise SchemaError(
            f"{where}: the decoder of {artifact.id} takes {_shapes(decoder.inputs)}, the encoder "
            f"gives {_shapes(encoder.outputs)}; expected '{BOX}' (1, 4) and tensors of the "
            "encoder's, by name and shape. Convert again."
        )
    _check_outputs(manifest, artifact, decoder, where)


def _check_outputs(manifest: Manifest, artifact: Artifact, graph: Graph, where: str) -> None:
    given = _pairs(graph.outputs)
    missing = [o.name for o in manifest.outputs if (o.name, (1, *o.shape)) not in given]
    if missing:
        raise SchemaError(
            f"{where}: graph '{graph.name}' of {artifact.id} gives {_shapes(graph.outputs)}, and "
            f"not {', '.join(missing)} of {_told(manifest.outputs)}. Convert again."
        )


def _check_films(manifest: Manifest, prompted: bool, where: str) -> None:
    """Acceptance films of a promptable model have boxes, others have none."""
    for film in manifest.acceptance.films if manifest.acceptance else ():
        count = len(film.boxes)
        if not (0 < count <= MAX_BOXES if prompted else count == 0):
            raise SchemaError(
                f"{where}: the acceptance film {film.file.path} has {count} boxes; expected "
                f"{f'1 to {MAX_BOXES}' if prompted else 'none'}. Convert again."
            )
        for x0, y0, x1, y1 in film.boxes:
            if not (0 <= x0 < x1 and 0 <= y0 < y1):
                raise SchemaError(
                    f"{where}: the acceptance film {film.file.path} is asked with the box "
                    f"{(x0, y0, x1, y1)}; expected 0 <= x0 < x1 and 0 <= y0 < y1. Convert again."
                )


def _pairs(tensors: tuple[TensorSpec, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((t.name, t.shape) for t in tensors)


def _shapes(tensors: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{t.name} {t.shape}" for t in tensors) or "nothing"


def _told(outputs: tuple[OutputSpec, ...]) -> str:
    return ", ".join(f"{o.name} {o.shape} ({o.meaning})" for o in outputs) or "none"
