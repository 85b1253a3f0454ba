"""`clinicedge threshold`: a clinic's own threshold, a record on this device."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..runtime import Bundle
    from ..runtime.manifest import Threshold

ACTIONS = ("show", "set", "clear")
COLUMNS = ("artifact", "compute", "label", ">bundle's", ">this device's", "set by", "on", "data")


def run(
    action: Annotated[str, typer.Argument(help="show, set or clear.")],
    bundle: Annotated[Path, typer.Argument(help="Folder of a model's bundle.")],
    artifact: Annotated[
        str | None, typer.Option(help="e.g. onnx/int8; may be left out where there is one.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Of several findings, which one; else the only one.")
    ] = None,
    value: Annotated[
        float | None, typer.Option(help="Positive means score >= this; between 0 and 1.")
    ] = None,
    who: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    data: Annotated[str | None, typer.Option(help="What it was chosen on, in words.")] = None,
    films: Annotated[int, typer.Option(min=0, help="How many films that were.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show, set or clear this device's own threshold of an artifact.

    The bundle is not changed. The record holds for the artifact's very bytes: after an update it
    is refused, and nothing is answered until it is set anew or cleared. Each answer that it decides
    says so, on a running server from the next one on. Of a pipeline name the member:
    BUNDLE/members/NAME. Exit code 0: done; 2: refused.

    \b
    Examples:
        clinicedge threshold show BUNDLE
        clinicedge threshold set BUNDLE --artifact onnx/int8 --value 0.35 --who "Dr Tran"
            --data "212 films of our ward, 2026" --films 212
        clinicedge threshold clear BUNDLE --artifact onnx/int8
    """
    from ..runtime.bundle import load
    from .printing import print_json

    if action not in ACTIONS:
        raise typer.BadParameter(f"action {action!r}; expected {', '.join(ACTIONS)}")
    opened = load(bundle)
    _refuse_pipeline(opened)
    if action != "show":
        chosen = _chosen(opened, artifact, label)
        if action == "set":
            _set(opened, chosen, (value, who, data), films)
        else:
            _clear(opened, chosen)
    rows = _rows(opened)
    if as_json:
        print_json({"model": opened.manifest.name, "bundle_id": opened.id, "thresholds": rows})
    else:
        _print(opened, rows)


def _refuse_pipeline(bundle: "Bundle") -> None:
    from ..runtime.errors import ArtifactError

    if bundle.manifest.kind == "pipeline":
        named = ", ".join(str(bundle.folder / "members" / m.name) for m in bundle.manifest.members)
        raise ArtifactError(
            f"'{bundle.manifest.name}' is a pipeline; a threshold belongs to a model's artifact. "
            f"Name the member: {named}."
        )


def _chosen(bundle: "Bundle", artifact: str | None, label: str | None) -> "Threshold":
    """The one threshold of the bundle that is meant."""
    found = bundle.manifest.thresholds
    if artifact is not None:
        wanted = bundle.artifact(artifact).id
        found = tuple(t for t in found if t.artifact == wanted)
    if label is not None:
        found = tuple(t for t in found if t.label == label)
    if len(found) != 1:
        named = "; ".join(f"{t.artifact} {t.label}" for t in found or bundle.manifest.thresholds)
        raise typer.BadParameter(
            f"{len(found)} thresholds fit; name one with --artifact and --label: {named}"
        )
    return found[0]


def _set(
    bundle: "Bundle",
    chosen: "Threshold",
    told: tuple[float | None, str | None, str | None],
    films: int,
) -> None:
    from ..runtime.own_thresholds import Wanted, set_own

    value, who, data = told
    if value is None or who is None or data is None:
        raise typer.BadParameter("set needs --value, --who and --data")
    wanted = Wanted(chosen.artifact, chosen.compute, chosen.label, value, data, who, films)
    set_own(bundle, wanted, datetime.now(UTC).isoformat(timespec="seconds"))


def _clear(bundle: "Bundle", chosen: "Threshold") -> None:
    from ..runtime.own_thresholds import clear_own

    name = bundle.manifest.name
    if not clear_own(name, chosen.artifact, chosen.compute, chosen.label):
        typer.echo("note: there was none; the bundle's own threshold decides", err=True)


def _rows(bundle: "Bundle") -> list[dict[str, Any]]:
    """Every threshold of the bundle, and this device's own with why it is refused, else ""."""
    from ..runtime.errors import ArtifactError
    from ..runtime.own_thresholds import in_force, read_own

    rows = []
    for t in bundle.manifest.thresholds:
        own, refused = None, ""
        try:
            own = read_own(bundle.manifest.name, t.artifact, t.compute, t.label)
            in_force(bundle, bundle.artifact(t.artifact), t.compute, t.label)
        except ArtifactError as err:
            refused = str(err)
        rows.append({"bundle": t, "own": own, "refused": refused})
    return rows


def _print(bundle: "Bundle", rows: list[dict[str, Any]]) -> None:
    from .printing import print_table

    shown = []
    for row in rows:
        t, own = row["bundle"], row["own"]
        cells = (f"{own.value:g}", own.who, own.when[:10], own.data) if own else ("-",) * 4
        shown.append((t.artifact, t.compute, t.label, f"{t.value:.4f}", *cells))
    print_table(f"thresholds of {bundle.manifest.name} (bundle {bundle.id[:12]}…)", COLUMNS, shown)
    for row in rows:
        if row["refused"]:
            print(f"refused: {row['refused']}")
