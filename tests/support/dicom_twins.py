"""DICOM films made with pydicom: what a film holds, as a file, and read again."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from clinicedge.runtime.decoders import decode

Stored = NDArray[np.integer[Any]]
RAMP = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def dataset(stored: Stored, bits: int | None = None, **fields: Any) -> Dataset:
    """A digital chest film with these stored values."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=["test"])
    ds.Modality, ds.BodyPartExamined = "DX", "CHEST"
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.SamplesPerPixel = 1 if stored.ndim == 2 else stored.shape[2]
    if stored.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = "MONOCHROME2" if stored.ndim == 2 else "RGB"
    ds.BitsAllocated = stored.dtype.itemsize * 8
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
    for name, value in fields.items():
        setattr(ds, name, value)
    return ds


def written(ds: Dataset) -> bytes:
    """The bytes of its file."""
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def decoded(ds: Dataset, **options: Any) -> NDArray[np.uint8]:
    """The pixels of that file as we read it."""
    return decode(written(ds), "x.dcm", **options).pixels


def lut(first: int, bits: int, entries: list[int]) -> Dataset:
    """An item of a sequence of tables: the first value mapped, bits of an entry."""
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item
