"""The input that the zoo's networks share: one film, square."""

from ..runtime.spec import DicomRules, InputSpec, Scaling


def square_input(side: int, channels: int, scaling: Scaling, pad: int | None = None) -> InputSpec:
    """side x side pixels, all channels alike, DICOM films in the window that their file names.

    Args:
        scaling: one mean and deviation a channel.
        pad: grey (0..255) of a letterbox; None stretches the film.
    """
    return InputSpec(
        name="film",
        height=side,
        width=side,
        channels=channels,
        resize="stretch" if pad is None else "letterbox",
        filter="bilinear",
        pad_value=pad,
        scaling=scaling,
        dicom=DicomRules(voi="file"),
    )
