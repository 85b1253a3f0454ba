"""The page of `--explain-quantization`: self-contained, pictures inside, light and dark."""

import base64
from collections.abc import Iterator, Mapping
from html import escape

from ..runtime.predictions import CAUTION
from .quantization_records import LayerLoss, QuantizationReport

WORST = 5
STYLE = """
:root{--ink:#1b2430;--soft:#5b6777;--line:#d5dbe3;--paper:#fff;--kept:#e3ecf7;--bad:#f6dcc8}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf2;--soft:#9aa7b8;--line:#364152;
--paper:#141a22;--kept:#22344c;--bad:#5a3a1d}img{filter:invert(1) hue-rotate(180deg)}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);
margin:2rem auto;max-width:80rem;padding:0 1rem}
h1{margin-bottom:.2rem}.caution{font-weight:600;margin-top:0}.soft{color:var(--soft)}
.wide{overflow-x:auto}img{max-width:none}table{border-collapse:collapse;font-size:13px}
th,td{border:1px solid var(--line);padding:.3rem .5rem;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}
tr.kept td{background:var(--kept)}tr.bad td{background:var(--bad)}
"""
READING = (
    "SNR: power of the layer's output in FP32 over the power of its difference in INT8, on the "
    "same films; it holds the noise of all layers before. Noise added: noise over signal at the "
    "output less the most at an input, so what the layer itself loses; below 0 it smooths noise "
    "away. A layer with much noise added and few multiply-adds is the cheapest to leave in float. "
    "The limit that decides is the budget, not these figures."
)
HEADS = ("#", "layer", "operation", "SNR dB", "noise added %", "multiply-adds %", "weights kB", "")


def page(reports: tuple[QuantizationReport, ...], pictures: Mapping[str, bytes]) -> str:
    """HTML of all artifacts.

    Args:
        pictures: PNG by artifact's id.
    """
    model = escape(f"{reports[0].model} {reports[0].version}") if reports else ""
    parts = [part for r in reports for part in _artifact(r, pictures[r.artifact])]
    if not reports:
        parts = ["<p>The bundle has no INT8 artifact.</p>"]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Quantization of {model}</title><style>{STYLE}</style></head><body>\n"
        f'<h1>What each layer loses in INT8: {model}</h1>\n<p class="caution">{CAUTION}</p>\n'
        f"<p>{READING}</p>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _artifact(report: QuantizationReport, picture: bytes) -> Iterator[str]:
    inside = base64.b64encode(picture).decode("ascii")
    worst = report.worst(WORST)
    yield f"<h2>{escape(report.artifact)}</h2>"
    yield (
        f"<p>{escape(report.method)}. {report.bytes / 1000:,.0f} kB; "
        f"{100 * report.float_share:.1f} % of the multiply-adds in float. Measured on "
        f"{report.n_films} films of {escape(report.data)}, part {report.part}. Sums cannot "
        f"saturate on: {escape(', '.join(report.safe_on)) or 'not stated'}.</p>"
    )
    yield f"<p>Most noise added by: {escape(', '.join(x.name for x in worst)) or 'none'}.</p>"
    yield (
        f'<div class="wide"><img alt="SNR and noise of each layer of {escape(report.artifact)}" '
        f'src="data:image/png;base64,{inside}"></div>'
    )
    heads = "".join(f"<th>{h}</th>" for h in HEADS)
    names = {x.name for x in worst}
    rows = "\n".join(_row(i, x, x.name in names) for i, x in enumerate(report.layers, 1))
    yield (
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n'
        "</tbody></table></div>"
    )


def _row(number: int, layer: LayerLoss, bad: bool) -> str:
    shown = "kept" if layer.in_float else "bad" if bad else ""
    added = None if layer.noise_added is None else 100 * layer.noise_added
    figures = (
        _figure(layer.snr_db, "{:.1f}"),
        _figure(added, "{:.3f}"),
        f"{100 * layer.share:.2f}",
        f"{layer.weight_bytes / 1000:,.1f}",
    )
    cells = "".join(f'<td class="n">{text}</td>' for text in figures)
    words = f"float: {escape(layer.why)}" if layer.in_float else "INT8"
    return (
        f'<tr class="{shown}"><td class="n">{number}</td><td>{escape(layer.name)}</td>'
        f"<td>{escape(layer.operation)}</td>{cells}<td>{words}</td></tr>"
    )


def _figure(value: float | None, form: str) -> str:
    return '<span class="soft">not measured</span>' if value is None else form.format(value)
