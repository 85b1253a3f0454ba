"""The engines: one file each, found through the entry-point group `clinicedge.engines`."""

from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points

from ..choices import usable_cores
from ..errors import EngineMissingError, IntegrityError
from ..manifest import Format, Graph
from ..session import ArtifactFiles, Engine, Session, SessionOptions

GROUP = "clinicedge.engines"
EXTRAS = {"onnxruntime": "onnx", "litert": "tflite", "openvino": "openvino"}


@cache
def engines() -> dict[str, Engine]:
    """Every engine that a package registered, installed or not, by name."""
    found = sorted(entry_points(group=GROUP), key=lambda e: e.name)
    return {entry.name: entry.load() for entry in found}


def engine_for(format_: Format) -> str:
    """The name of the first engine that opens the format, ours before a stranger's.

    Raises:
        EngineMissingError: none does.
    """
    able = [name for name, engine in engines().items() if format_ in engine.formats]
    if not able:
        raise EngineMissingError(f"no engine opens the format '{format_}'; install clinicedge anew")
    return min(able, key=lambda name: (name not in EXTRAS, name))


def require(name: str) -> Engine:
    """The engine of that name, installed.

    Raises:
        EngineMissingError: unknown, or its package is not installed.
    """
    engine = engines().get(name)
    if engine is None:
        raise EngineMissingError(f"no engine '{name}'; this machine knows {', '.join(engines())}.")
    if engine.version() is None:
        extra = EXTRAS.get(name)
        cure = f"pip install 'clinicedge[{extra}]'" if extra else "install its package"
        raise EngineMissingError(f"engine '{name}' is not installed. To use it: {cure}.")
    return engine


def open_session(
    handle: ArtifactFiles,
    graph: str = "main",
    options: SessionOptions | None = None,
    engine: str | None = None,
) -> Session:
    """Open one graph of an artifact.

    Args:
        options: None takes the artifact's first validated compute precision.
        engine: None takes the engine of the artifact's format.

    Raises:
        EngineMissingError: the engine is not installed.
        EngineFallbackError: it cannot keep the device or compute precision asked for.
        IntegrityError: a file is missing.
    """
    options = options or SessionOptions(compute=handle.artifact.computes[0])
    if options.threads <= 0:
        options = replace(options, threads=usable_cores())
    chosen = require(engine or engine_for(handle.artifact.format))
    record: Graph = handle.artifact.graph(graph)
    files = tuple(handle.folder / f.path for f in record.files)
    for path in files:
        if not path.is_file():
            raise IntegrityError(
                f"artifact {handle.artifact.id}: {path} is missing. Restore it or convert again."
            )
    return chosen.open(files, record, options)
