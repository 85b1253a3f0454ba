"""Data folders as they are named on the command line."""

import os
from pathlib import Path


def data_folder(data: Path) -> Path:
    """The folder, or the one of that name in CLINICEDGE_DATA."""
    root = os.environ.get("CLINICEDGE_DATA")
    if not data.exists() and root and (Path(root) / data).is_dir():
        return Path(root) / data
    return data
