"""The pipelines of the zoo: NAME-on-lungs of every chest classifier, the pneumonia cascade, and the
lesion pipelines."""

from dataclasses import replace

from ..models import lungs, weights, zoo
from ..models.chest import LUNG_CROP, ON_LUNGS
from . import pipeline_bundles as bundles
from .conversion import convert_model
from .options import Conversion, ConvertOptions, Progress
from .zoo_source import load_source

# name -> (first, second)
CASCADES = {"pneumonia-cascade": ("resnet50-224" + ON_LUNGS, "pneumonia-type-224" + ON_LUNGS)}
# name -> (detector, segmenter): what the one finds the other outlines.
LESIONS = {
    "lesion-segmenter": ("yolo-nas-s-256", "medsam2-256"),
    "lesion-segmenter-lungs": ("yolo-nas-s-256-lungs", "medsam2-mini-192-lungs"),
}


def on_lungs_names() -> tuple[str, ...]:
    """The default form of every chest classifier."""
    return tuple(name + ON_LUNGS for name in zoo.chest_names())


def default_names() -> tuple[str, ...]:
    """What the zoo converts to: chest classifiers on lungs, everything else as it is, cascades and
    lesion pipelines."""
    chest = zoo.chest_names()
    others = tuple(name for name in zoo.names() if name not in chest)
    return (*on_lungs_names(), *others, *CASCADES, *LESIONS)


def is_pipeline(name: str) -> bool:
    """Whether the zoo makes a pipeline of that name."""
    on_lungs = name.endswith(ON_LUNGS) and name.removesuffix(ON_LUNGS) in zoo.chest_names()
    return on_lungs or name in CASCADES or name in LESIONS


def members_of(name: str) -> tuple[str, ...]:
    """The models that a pipeline of the zoo is made of, each once; of a model itself."""
    if name in CASCADES:
        inner = (model for member in CASCADES[name] for model in members_of(member))
        return tuple(dict.fromkeys(inner))
    if name in LESIONS:
        return LESIONS[name]
    if is_pipeline(name):
        return (lungs.NAME, name.removesuffix(ON_LUNGS) + LUNG_CROP)
    return (name,)


def convert_named(
    name: str, options: ConvertOptions, progress: Progress | None = None
) -> Conversion:
    """Convert a model or a pipeline of the zoo; see `ZooConverter.convert`."""
    return ZooConverter(options).convert(name, progress)


class ZooConverter:
    """Converts models and pipelines of the zoo; a model that several share is converted once."""

    def __init__(self, options: ConvertOptions) -> None:
        self._options = options
        self._done: dict[str, Conversion] = {}

    def convert(self, name: str, progress: Progress | None = None) -> Conversion:
        """Convert a model or a pipeline; members become bundles in `options.out` too.

        Raises:
            UnknownModelError: the zoo has no such name.
            WeightsMissingError: a member has no weights; found before the long work begins.
            CheckpointError: the weights or their card are of another model.
            Also what `convert_model` raises.
        """
        for member in members_of(name):
            weights.find(zoo.spec(member), self._options.weights)
        return self._convert(name, _Share(progress, members_of(name)))

    def _convert(self, name: str, share: "_Share") -> Conversion:
        if not is_pipeline(name):
            return self._model(name, self._options, share)
        if name in CASCADES:
            first, second = (self._convert(member, share) for member in CASCADES[name])
            plan = bundles.cascade(name, first.folder, second.folder)
            inner = (first, second)
        elif name in LESIONS:
            detector, segmenter = (self._model(m, self._options, share) for m in LESIONS[name])
            plan = bundles.lesions(name, detector.folder, segmenter.folder)
            inner = (detector, segmenter)
        else:
            # The data that is asked for is the classifier's; the lungs have theirs.
            theirs = replace(self._options, data=None)
            classifier = name.removesuffix(ON_LUNGS) + LUNG_CROP
            inner = (
                self._model(lungs.NAME, theirs, share),
                self._model(classifier, self._options, share),
            )
            plan = bundles.on_lungs(name, inner[0].folder, inner[1].folder)
        return joined(bundles.write_pipeline(plan, self._options.out), inner)

    def _model(self, name: str, options: ConvertOptions, share: "_Share") -> Conversion:
        if name not in self._done:
            source = load_source(name, options.weights)
            self._done[name] = convert_model(source, options, share.of(name))
        return self._done[name]


class _Share:
    """The progress of each member as a share of the whole."""

    def __init__(self, progress: Progress | None, members: tuple[str, ...]) -> None:
        self._progress, self._members = progress, members

    def of(self, name: str) -> Progress:
        """The progress of one member."""
        before, count = self._members.index(name), len(self._members)

        def told(what: str, step: int, steps: int) -> None:
            if self._progress is not None:
                words = what if count == 1 else f"{name}: {what}"
                self._progress(words, before * steps + step, count * steps)

        return told


def joined(written: bundles.Written, members: tuple[Conversion, ...]) -> Conversion:
    """A pipeline's conversion from those of its members."""

    def notes(one: Conversion) -> tuple[str, ...]:
        return tuple(f"{one.manifest.name}: {note}" for note in one.notes)

    models = tuple({m.manifest.name: m for c in members for m in c.models}.values())
    return Conversion(
        folder=written.folder,
        manifest=written.manifest,
        unchanged=written.unchanged and all(m.unchanged for m in members),
        made=tuple(f"{m.manifest.name}: {step}" for m in models for step in m.made),
        reused=tuple(f"{m.manifest.name}: {step}" for m in models for step in m.reused),
        notes=tuple(note for m in models for note in notes(m)),
        failed=tuple(f for m in models for f in m.failed),
        members=members,
    )
