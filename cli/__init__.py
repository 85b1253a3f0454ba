"""The `clinicedge` command: one file a verb, imported only when that verb is asked for."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import click
import typer
from typer.main import get_command

from ..runtime.errors import ClinicEdgeError

# verb -> one line of help; the module of the same name holds `run`.
VERBS = {
    "models": "List the zoo with parameters, mult-adds and published figures.",
    "train": "Train a model of the zoo on a data folder.",
    "convert": "Make a bundle: ONNX, TFLite and OpenVINO, each FP32, FP16 and INT8, with proof.",
    "predict": "Score films with a bundle.",
    "verify": "Check a bundle's files and that this machine reproduces its recorded answers.",
    "doctor": "Tell what this machine is, which engines work and whether a bundle passes here.",
    "tune": "Measure the artifacts of a bundle on this machine and remember the best choice.",
    "profile": "Measure size, latency and memory of every artifact on this machine.",
    "evaluate": "Measure accuracy of every artifact on a data folder.",
    "serve": "Serve a bundle to the clinic's tablets.",
}
EXIT_REFUSED = 2


class _Verbs(click.Group):
    """Loads a verb's file when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        run: Callable[..., Any] = importlib.import_module(f".{cmd_name}", __name__).run
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name=cmd_name, short_help=VERBS[cmd_name])(run)
        return get_command(app)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=_Verbs,
    help="Edge deployment toolkit for clinic X-ray AI. Second opinion, not a diagnosis; "
    "not a medical device.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="clinicedge")
def _group() -> None:
    pass


def main(args: list[str] | None = None) -> None:
    """Run the command; refusals go to stderr in one sentence and exit with 2."""
    try:
        _group(args=args, prog_name="clinicedge")
    except ClinicEdgeError as err:
        print(f"error: {err}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
