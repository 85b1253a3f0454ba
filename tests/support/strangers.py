"""Engines of another's package, as an installed one is found: with faults of every kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clinicedge.runtime.engines import engines

# What the engine does when it is asked to open a file.
OPENS = "return Shifted(ORT.open(files, graph, options))"
ILLEGAL = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
ABORTS = "import os; os.abort()"
LEAVES = "raise SystemExit(3)"
RAISES = "raise RuntimeError('no kernel for this graph')"
HANGS = "import time; time.sleep(60)"

_CODE = """\
from clinicedge.runtime.engines.ort import ENGINE as ORT

class Shifted:
    def __init__(self, inner): self.inner = inner
    def __getattr__(self, name): return getattr(self.inner, name)
    def run(self, tensors):
        return {k: v + 1 for k, v in self.inner.run(tensors).items()}

class Engine:
    name = 'stranger'
    formats = ('onnx',)
    def version(self): return 'stranger 1'
    def open(self, files, graph, options):
        {does}

ENGINE = Engine()
"""


@contextmanager
def stranger(folder: Path, does: str = OPENS) -> Iterator[None]:
    """Within it the engine "stranger" is installed, in this process and its children.

    Without a fault of its own it answers one more than ONNX Runtime.
    """
    info = folder / "plug" / "stranger-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[clinicedge.engines]\nstranger = stranger:ENGINE\n")
    (folder / "plug" / "stranger.py").write_text(_CODE.replace("{does}", does))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "plug"))
        patch.setenv("PYTHONPATH", str(folder / "plug"))
        engines.cache_clear()
        try:
            yield
        finally:
            patch.undo()
            engines.cache_clear()
