"""A bundle of a zoo network with random weights, for its size and speed alone.

What a network weighs and how long it takes does not depend on its values, so targets of a model
without weights of ours can be measured too. FP32 and plain static INT8, in three formats, on few
phantom films; the manifest says that the weights are random.

    python benchmarks/_random_bundle.py segunet-512 --out random-bundles
    python benchmarks/best_ratio.py random-bundles/segunet-512
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from clinicedge.convert import Conversion, ConvertOptions, Source, convert_model, phantom_films
from clinicedge.convert.zoo_source import load_source
from clinicedge.models import weights, zoo

RECIPES = ("fp32", "int8-static")
WORDS = "random weights, for size and speed alone: it decides nothing"
SEED = 20180209


def random_source(name: str, folder: Path) -> Source:
    """The network with fresh weights, through its file as everybody's."""
    import torch

    torch.manual_seed(SEED)
    spec = zoo.spec(name)
    weights.save(zoo.build(name), folder / spec.weights.file, f"{name}, random")
    source = load_source(name, (folder,))
    use = replace(spec.intended_use, statement=WORDS)
    return replace(source, spec=replace(spec, intended_use=use), training_data=WORDS)


def convert_random(name: str, out: Path, films: int, formats: tuple[str, ...]) -> Conversion:
    """OUT/NAME; an artifact that a tool cannot make is left out and said."""
    phantom_films.COUNT = films
    options = ConvertOptions(
        out,
        formats=formats,
        precisions=(),
        recipes=RECIPES,
        calibration_films=films,
        min_agreement=0.0,
        keep_going=True,
    )
    with tempfile.TemporaryDirectory(prefix="clinicedge-random-") as folder:
        source = random_source(name, Path(folder))
        return convert_model(source, options, lambda what, *_: print(what, flush=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="segunet-512")
    parser.add_argument("--out", type=Path, default=Path("random-bundles"))
    parser.add_argument("--films", type=int, default=8, help="phantoms of each part, 8 at least")
    parser.add_argument("--formats", default="onnx,tflite,openvino")
    asked = parser.parse_args()
    done = convert_random(asked.name, asked.out, asked.films, tuple(asked.formats.split(",")))
    for artifact in done.manifest.artifacts:
        print(f"{artifact.id}: {artifact.bytes / 1e6:.2f} MB")
    for failed in done.failed:
        print(f"not made: {failed.artifact}: {failed.reason}")


if __name__ == "__main__":
    main()
