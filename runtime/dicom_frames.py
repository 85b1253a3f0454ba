"""Several frames of one DICOM file, each a film: enhanced multi-frame images, tomosynthesis.

What an enhanced image says of all frames or of one (PS3.3 C.7.6.16: spacing, window, rescale) is
read as if it stood in a file of its own.
"""

import io
from collections.abc import Iterator
from typing import Any

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag

from .dicom import check_header, damaged, film_of, number_of, read_dataset
from .files import sha256_bytes
from .film import Film
from .limits import BROKEN, check_stack
from .quiet import ignore_warnings_of
from .spec import Voi

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
# Of a frame's groups those that a film is made by.
_LIFTED = ("PixelMeasuresSequence", "FrameVOILUTSequence", "PixelValueTransformationSequence")
# What an element was before a frame's own took its place, None where there was none.
Before = dict[BaseTag, DataElement | None]
_OFFSETS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def decode_frames(data: bytes, name: str, voi: Voi = "file") -> tuple[Film, ...]:
    """The frames of a DICOM file in their stored order; one film of a file of one frame.

    Args:
        name: the file's; each film is named after it and its number, counted from 1.

    Raises:
        FilmSizeError: more frames than `limits.check_stack` lets through.
        FilmError: as `decode_dicom`, of any frame.
    """
    ignore_warnings_of("pydicom")
    ignore_warnings_of("PIL")
    digest = sha256_bytes(data)
    try:
        dataset = read_dataset(data, name)
        count = max(1, number_of(dataset, "NumberOfFrames"))
        size = (number_of(dataset, "Rows"), number_of(dataset, "Columns"))
        check_stack(count, size, name)
        return tuple(
            film_of(frame, f"{name}, frame {number}", voi, digest)
            for number, frame in enumerate(_frames(dataset, count, name), start=1)
        )
    except (*BROKEN, BytesLengthException, InvalidDicomError) as err:
        raise damaged(name, str(err) or type(err).__name__) from err


def instance_number(data: bytes) -> int | None:
    """Where a DICOM file stands in its series; None where it does not say, or is none."""
    ignore_warnings_of("pydicom")
    try:
        found = pydicom.dcmread(
            io.BytesIO(data), stop_before_pixels=True, specific_tags=["InstanceNumber"]
        )
        value = found.get("InstanceNumber")
        return None if value is None else int(value)
    except (*BROKEN, BytesLengthException, InvalidDicomError):
        return None


def _frames(dataset: FileDataset, count: int, name: str) -> Iterator[FileDataset]:
    """The data set as each frame alone would have it; the same object again and again."""
    if count == 1 or "PixelData" not in dataset:
        yield dataset
        return
    shared, each = (list(dataset.get(group) or ()) for group in _GROUPS)
    for keyword in (*_GROUPS, *_OFFSETS):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.NumberOfFrames = 1
    check_header(dataset, name)
    element = dataset["PixelData"]
    for number, pixels in enumerate(list(_pixel_data(dataset, count))):
        before: Before = {}
        for group in (*shared[:1], *each[number : number + 1]):
            _lift(group, dataset, before)
        element.value = pixels
        yield dataset
        _put_back(before, dataset)


def _pixel_data(dataset: FileDataset, count: int) -> Iterator[bytes]:
    """What PixelData would be of each frame alone.

    Raises:
        ValueError: there is less than the header says.
    """
    data = dataset.PixelData
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = [*generate_frames(data, number_of_frames=count)]
        if len(frames) != count:
            raise ValueError(f"it announces {count} frames and has {len(frames)}")
        yield from (encapsulate([frame]) for frame in frames)
        return
    size = number_of(dataset, "Rows") * number_of(dataset, "Columns")
    size *= number_of(dataset, "SamplesPerPixel") * number_of(dataset, "BitsAllocated") // 8
    if size <= 0 or len(data) < count * size:
        raise ValueError(f"it announces {count} frames of {size} bytes and has {len(data)}")
    for number in range(count):
        yield data[number * size : (number + 1) * size]


def _lift(group: Dataset, into: FileDataset, before: Before) -> None:
    for keyword in _LIFTED:
        items: Any = group.get(keyword) or ()
        for item in items:
            for element in item:
                before.setdefault(element.tag, into.get(element.tag))
                into[element.tag] = element


def _put_back(before: Before, into: FileDataset) -> None:
    """What one frame says must not hold for the next."""
    for tag, element in before.items():
        if element is None:
            del into[tag]
        else:
            into[tag] = element
