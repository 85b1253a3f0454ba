"""Slices from a folder and from frames: their order, what enhanced images say, refusals."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)

from clinicedge.runtime import limits
from clinicedge.runtime.errors import DamagedFilmError, FilmError, FilmSizeError, NotAFilmError
from clinicedge.runtime.images import read_film
from clinicedge.runtime.stacks import read_stack

# Three frames that are told apart by their brightness.
FRAMES = np.stack([np.full((40, 48), level, np.uint16) for level in (100, 200, 300)])
FRAMES[:, 0, :2] = (0, 400)


def frames_file(path: Path, stored: NDArray[np.integer[Any]], **fields: Any) -> Path:
    """A DICOM file of the frames (N, H, W)."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=["stack"])
    ds.Modality, ds.BodyPartExamined = "DX", "LEG"
    ds.Rows, ds.Columns = stored.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = stored.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, 0
    ds.NumberOfFrames = len(stored)
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
    for name, value in fields.items():
        setattr(ds, name, value)
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    path.write_bytes(stream.getvalue())
    return path


def window(center: float, width: float) -> Dataset:
    inner, group = Dataset(), Dataset()
    inner.WindowCenter, inner.WindowWidth = center, width
    group.FrameVOILUTSequence = Sequence([inner])
    return group


def test_frames_become_films_in_their_order(tmp_path: Path) -> None:
    films = read_stack(frames_file(tmp_path / "f.dcm", FRAMES))
    assert [int(f.pixels[9, 9]) for f in films] == [64, 128, 191]
    assert [f.source.name for f in films] == [f"f.dcm, frame {n}" for n in (1, 2, 3)]
    assert films[0].source.modality == "DX"
    with pytest.raises(NotAFilmError, match="ask about its frames as slices"):
        read_film(tmp_path / "f.dcm")
    # Rows and columns as in a file of one frame.
    one = frames_file(tmp_path / "one.dcm", FRAMES[1:2])
    (film,) = read_stack(one)
    assert (film.pixels == films[1].pixels).all()


def test_what_an_enhanced_image_says_of_all_frames_or_of_one(tmp_path: Path) -> None:
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [0.5, 0.25]
    shared.PixelMeasuresSequence = Sequence([measures])
    each = Sequence([window(50, 100), window(200, 400), window(200, 400)])
    path = frames_file(
        tmp_path / "e.dcm",
        FRAMES,
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=each,
    )
    films = read_stack(path)
    assert [f.spacing_mm for f in films] == [(0.5, 0.25)] * 3
    assert [int(f.pixels[9, 9]) for f in films] == [255, 128, 192]


def test_what_one_frame_says_does_not_hold_for_the_next(tmp_path: Path) -> None:
    each = Sequence([window(50, 100), Dataset(), Dataset()])
    films = read_stack(
        frames_file(tmp_path / "w.dcm", FRAMES, PerFrameFunctionalGroupsSequence=each)
    )
    assert [int(f.pixels[9, 9]) for f in films] == [255, 128, 191]


def test_compressed_frames(tmp_path: Path) -> None:
    frames = []
    for level in (40, 200):
        out = io.BytesIO()
        Image.fromarray(np.full((40, 48), level, np.uint8)).save(out, "JPEG", quality=95)
        frames.append(out.getvalue())
    path = frames_file(tmp_path / "j.dcm", FRAMES[:2].astype(np.uint8))
    from pydicom import dcmread

    ds = dcmread(path)
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.WindowCenter, ds.WindowWidth = 128, 256
    ds.save_as(path, enforce_file_format=True)
    levels = [int(f.pixels[9, 9]) for f in read_stack(path)]
    assert levels == pytest.approx([40, 200], abs=2)


def test_a_folder_is_read_by_name_or_by_instance_number(tmp_path: Path) -> None:
    by_name = tmp_path / "png"
    by_name.mkdir()
    for name, level in (("s10", 30), ("s2", 20), ("s1", 10)):
        Image.fromarray(np.full((40, 48), level, np.uint8)).save(by_name / f"{name}.png")
    (by_name / ".hidden").write_text("x")
    films = read_stack(by_name)
    assert [f.source.name for f in films] == ["s1.png", "s2.png", "s10.png"]
    numbered = tmp_path / "dcm"
    numbered.mkdir()
    for name, number in (("a", 3), ("b", 1), ("c", 2)):
        frames_file(numbered / name, FRAMES[:1], InstanceNumber=number)
    assert [f.source.name for f in read_stack(numbered)] == ["b", "c", "a"]
    frames_file(numbered / "d", FRAMES[:1])
    assert [f.source.name for f in read_stack(numbered)] == ["a", "b", "c", "d"]


def test_what_is_no_stack_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    with pytest.raises(NotAFilmError, match="has no files"):
        read_stack(folder)
    Image.fromarray(np.zeros((40, 48), np.uint8)).save(folder / "1.png")
    with pytest.raises(NotAFilmError, match="no folder and no DICOM file"):
        read_stack(folder / "1.png")
    with pytest.raises(NotAFilmError, match="cannot read"):
        read_stack(tmp_path / "nowhere")
    Image.fromarray(np.zeros((48, 40), np.uint8)).save(folder / "2.png")
    with pytest.raises(FilmSizeError, match=r"'2\.png' is 40 x 48 pixels, '1\.png' 48 x 40"):
        read_stack(folder)
    (folder / "2.png").write_text("no film")
    with pytest.raises(NotAFilmError, match=r"'2\.png' is in no format"):
        read_stack(folder)
    short = frames_file(tmp_path / "s.dcm", FRAMES, NumberOfFrames=5)
    with pytest.raises(DamagedFilmError, match="announces 5 frames"):
        read_stack(short)
    many = frames_file(tmp_path / "m.dcm", FRAMES, NumberOfFrames=100_000)
    with pytest.raises(FilmSizeError, match="100000 slices of 48 x 40"):
        read_stack(many)
    monkeypatch.setattr(limits, "MAX_STACK_PIXELS", 3 * 40 * 48 - 1)
    with pytest.raises(FilmSizeError, match="3 slices of 48 x 40"):
        read_stack(frames_file(tmp_path / "f.dcm", FRAMES))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(132, 2000), st.binary(min_size=1, max_size=8), st.integers(0, 3000))
def test_damaged_frames_are_refused_in_our_words(
    tmp_path: Path, at: int, noise: bytes, cut: int
) -> None:
    data = frames_file(tmp_path / "f.dcm", FRAMES).read_bytes()
    path = tmp_path / "g.dcm"
    path.write_bytes((data[:at] + noise + data[at + len(noise) :])[: len(data) - cut])
    with contextlib.suppress(FilmError):
        assert all(film.pixels.dtype == np.uint8 for film in read_stack(path))
