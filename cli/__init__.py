"""The `clinicedge` command: one file a verb, imported only when that verb is asked for."""

import importlib
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer

# Before numpy is loaded. Its products are small here, and its threads would spin on while the next
# network wants their cores: Eigen-CAM of ResNet50 doubled the time of the run after it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ..runtime.errors import CheckpointError, ClinicEdgeError

# verb -> one line of help; the module of the same name holds `run`, or `app` with verbs of its own.
VERBS = {
    "models": "List the zoo with parameters, mult-adds and published figures.",
    "data": "Make a data folder of a public set as it was downloaded.",
    "train": "Train a model of the zoo on a data folder.",
    "convert": "Make a bundle: ONNX, TFLite and OpenVINO, each FP32, FP16 and INT8, with proof.",
    "pipeline": "Put bundles together: lungs before a classifier, a cascade, an ensemble.",
    "predict": "Score films with a bundle.",
    "install": "Take a bundle onto this device, if the device reproduces its answers.",
    "verify": "Check a bundle's files and that this machine reproduces its recorded answers.",
    "doctor": "Tell what this machine is, which engines work and whether a bundle passes here.",
    "tune": "Measure the artifacts of a bundle on this machine and remember the best choice.",
    "profile": "Measure size, latency and memory of every artifact on this machine.",
    "evaluate": "Measure accuracy of every artifact on a data folder.",
    "explain-report": "Compare methods of explanation on films, with figures and pictures.",
    "threshold": "Show, set or clear this device's own threshold of an artifact.",
    "serve": "Serve a bundle to the clinic's tablets.",
    "ratings": "Export what clinicians think of the heat maps.",
    "bundle": "Pack, unpack, sign, show and compare bundles.",
    "keys": "Make signing keys, and tell this device which ones to trust.",
}
EXIT_REFUSED = 2


def main(args: list[str] | None = None) -> None:
    """Run the command; refusals go to stderr in one sentence and exit with 2.

    Where a refusal has lists that the sentence cuts short, --json prints them whole on stdout.
    """
    words = sys.argv[1:] if args is None else args
    try:
        _app(words)(args=words, prog_name="clinicedge")
    except ClinicEdgeError as err:
        print(f"error: {err}", file=sys.stderr)
        _tell_details(err, "--json" in words)
        sys.exit(EXIT_REFUSED)


def _tell_details(err: ClinicEdgeError, as_json: bool) -> None:
    details = err.details if isinstance(err, CheckpointError) else {}
    if details and as_json:
        from .printing import print_json

        print_json({"error": str(err), **details})
    elif details:
        print("hint: --json prints every name", file=sys.stderr)


def inner_verbs(verb: str) -> tuple[str, ...]:
    """The verbs that a verb has of its own, e.g. "pack" of "bundle"; () for most."""
    app = getattr(importlib.import_module(f".{verb.replace('-', '_')}", __name__), "app", None)
    if app is None:
        return ()
    named = ((c.name, c.callback) for c in app.registered_commands)
    return tuple(name or getattr(callback, "__name__", "") for name, callback in named)


def _app(words: list[str]) -> typer.Typer:
    """All verbs for the help text; only the file of the verb in `words` is imported."""
    app = typer.Typer(
        help="Edge deployment toolkit for clinic X-ray AI. Second opinion, not a diagnosis; "
        "not a medical device.",
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    asked = next((word for word in words if not word.startswith("-")), None)
    for verb, line in VERBS.items():
        run: Callable[..., Any] = _stub
        if verb == asked:
            module = importlib.import_module(f".{verb.replace('-', '_')}", __name__)
            if inner := getattr(module, "app", None):
                app.add_typer(inner, name=verb, short_help=line)
                continue
            run = module.run
        app.command(verb, short_help=line)(run)
    return app


def _stub() -> None:
    """Stands for a verb that was not asked for."""


def _show_version(asked: bool) -> None:
    if asked:
        print(f"clinicedge {version('clinicedge')}")
        raise typer.Exit


def _root(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass
