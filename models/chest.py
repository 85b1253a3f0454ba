"""What all classifiers of chest films share: labels, intended use, data, and the lung-crop form."""

from dataclasses import replace

from ..runtime.spec import InputSpec, IntendedUse, ModelSpec, Scaling, WeightsSource
from .inputs import square_input

LABELS = ("NORMAL", "PNEUMONIA")
LUNG_CROP = "-lung-crop"
ON_LUNGS = "-on-lungs"
ATTRIBUTION = (
    "Kermany, Zhang, Goldbaum 2018, Labeled Optical Coherence Tomography (OCT) and Chest X-Ray "
    "Images for Classification, Mendeley Data, doi 10.17632/rscbjbr9sj.2, CC BY 4.0"
)
USE = IntendedUse(
    statement="second opinion on frontal chest films of children of 1 to 5 years: "
    "NORMAL or PNEUMONIA; a clinician decides",
    body_part="CHEST",
    modalities=("CR", "DX"),
    age_years=(1.0, 5.0),
    not_for=(
        "adults, infants under one year, lateral views, other body parts",
        "deciding alone, or ruling out pneumonia",
        "other findings: effusion, pneumothorax, tuberculosis and the like are not looked for",
        "telling bacterial from viral pneumonia",
    ),
)


def chest_input(side: int, scaling: Scaling) -> InputSpec:
    """side x side pixels, three channels alike; stretched, since our films came squashed."""
    return square_input(side, 3, scaling)


def lung_crop(spec: ModelSpec) -> ModelSpec:
    """The same network for films cropped to the lungs: other weights, another name.

    Its bundle takes no whole film; the pipeline NAME-on-lungs crops for it.
    """
    name = spec.name + LUNG_CROP
    return replace(
        spec,
        name=name,
        input=replace(spec.input, region="lungs"),
        weights=WeightsSource(
            f"{name}.safetensors", spec.weights.licence, spec.weights.attribution
        ),
    )
