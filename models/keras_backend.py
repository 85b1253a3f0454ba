"""The one way to Keras: version 3 on its torch backend, which must be chosen before the import."""

import os
import sys
from types import ModuleType

from ..runtime.errors import ModelError

BACKEND = "torch"


def keras_on_torch() -> ModuleType:
    """Import keras.

    Raises:
        ModelError: it is not installed, too old, or was imported with another backend before.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = BACKEND
    try:
        import h5py  # noqa: F401
        import keras
    except ImportError as err:
        raise ModelError(
            f"Keras files need keras and h5py, and {err.name} is not installed. "
            "Install the extra: pip install 'clinicedge[keras]'."
        ) from err
    if not keras.__version__.startswith("3."):
        raise ModelError(
            f"keras {keras.__version__} is installed; expected version 3, which can compute with "
            "torch. Install the extra: pip install 'clinicedge[keras]'."
        )
    if keras.backend.backend() != BACKEND:
        raise ModelError(
            f"keras was imported with the backend {keras.backend.backend()!r} before; expected "
            f"{BACKEND!r}. Set KERAS_BACKEND={BACKEND} before anything imports keras."
        )
    module: ModuleType = keras
    return module
