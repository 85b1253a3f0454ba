"""A pipeline to sign."""

from pathlib import Path

import tiny_bundles as tiny


def unsigned_pipeline(folder: Path) -> Path:
    """A pipeline that runs, in its folder of `folder`."""
    lungs = tiny.masks(folder / "tiny-lungs")
    crop = tiny.binary(folder / "crop", "tiny-lung-crop", tiny.Scores(region="lungs"))
    return tiny.on_lungs(folder / "tiny-on-lungs", crop, lungs).folder
