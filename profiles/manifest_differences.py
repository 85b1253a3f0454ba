"""Every value of two manifests that differs, by its path.

Rows of a list are paired by what names them, so that one row more does not move all others; rows
that nothing names are one value together. What differs in no value differs in no meaning.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..runtime.manifest import Manifest
from ..runtime.records import to_json

Path = tuple[str, ...]
NONE, THERE, ORDER = "none", "there", "order"
# Fields that name a row of the list, by the list's name.
KEYS: dict[str, tuple[str, ...]] = {
    "outputs": ("name",),
    "inputs": ("name",),
    "binding": ("name",),
    "graphs": ("name",),
    "float_layers": ("name",),
    "artifacts": ("id",),
    "thresholds": ("artifact", "label", "compute"),
    "temperatures": ("artifact", "label", "compute"),
    "expected": ("artifact", "compute", "output"),
    "accuracy": ("label", "compute", "data", "part"),
    "masks": ("compute", "data", "part"),
    "boxes": ("label", "compute", "data", "part"),
    "flips": ("label", "data", "part"),
    "reliability": ("label", "data", "part"),
    "losses": ("figure", "label"),
    "data": ("data",),
    "parts": ("part",),
    "members": ("role", "name"),
    "files": ("path",),
    "films": ("file",),
}
_FIGURE = {"value", "low", "high", "n", "n_patients"}
_LONG = 100
_HASH_LENGTH = 64
_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Difference:
    """A path and what stands there, as JSON; THERE and None where only one side has the row."""

    path: Path
    before: Any
    after: Any


def differences(before: Manifest, after: Manifest) -> tuple[Difference, ...]:
    """Every leaf that differs: scalars, figures, lists without names; () where no value does."""
    return tuple(_walk((), to_json(before), to_json(after)))


def row(name: str, *key: str) -> Path:
    """The path of a row of a list."""
    return (name, f"[{' '.join(filter(None, key))}]")


def written(path: Path) -> str:
    """e.g. "artifacts[onnx/fp32].calibration.method"."""
    return "".join(p if p[0] == "[" else f".{p}" for p in path).removeprefix(".")


def shown(before: Any, after: Any) -> tuple[str, str, str]:
    """Both values in words, never the same, and what more there is to say."""
    more = ""
    if isinstance(before, list) and isinstance(after, list):
        more = _lists(before, after)
    elif _is_figure(before) and _is_figure(after):
        more = f" ({(after['value'] - before['value']) * 100:+.2f} points)"
    old, new = _text(before), _text(after)
    if old == new:
        old, new = (_exact(v) for v in (before, after))
    return old, new, more


def _walk(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    if old == new:
        return
    if _is_figure(old) or _is_figure(new):
        yield Difference(path, old, new)
    elif isinstance(old, dict) or isinstance(new, dict):
        yield from _record(path, old, new)
    else:
        keyed = _keyed(path[-1] if path else "", old, new)
        if keyed is None:
            yield Difference(path, old, new)
        else:
            yield from _rows(path, *keyed)


def _record(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    before, after = old or {}, new or {}
    found = [
        difference
        for key in dict.fromkeys((*before, *after))
        for difference in _walk((*path, key), before.get(key), after.get(key))
    ]
    # A record without a value of its own beside none at all.
    yield from found or [Difference(path, *(None if v is None else THERE for v in (old, new)))]


def _rows(path: Path, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for key in dict.fromkeys((*before, *after)):
        place = (*path, f"[{key}]")
        if key in before and key in after:
            yield from _walk(place, before[key], after[key])
        else:
            yield Difference(place, *(THERE if key in rows else None for rows in (before, after)))
    order = [k for k in before if k in after], [k for k in after if k in before]
    if order[0] != order[1]:
        yield Difference((*path, ORDER), *order)


def _keyed(name: str, old: Any, new: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Both lists' rows by their names; None where they have none, or one has it twice."""
    if name not in KEYS or not isinstance(old, list) or not isinstance(new, list):
        return None
    if not all(isinstance(r, dict) for r in (*old, *new)):
        return None
    before, after = ({_name(KEYS[name], r): r for r in rows} for rows in (old, new))
    return (before, after) if (len(before), len(after)) == (len(old), len(new)) else None


def _name(fields: tuple[str, ...], record: dict[str, Any]) -> str:
    values = (record.get(field) for field in fields)
    return " ".join(str(v["path"] if isinstance(v, dict) else v) for v in values if v)


def _is_figure(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == _FIGURE


def _text(value: Any) -> str:
    if value is None:
        return NONE
    if _is_figure(value):
        low, high = value["low"], value["high"]
        return f"{value['value']:.4f} ({low:.4f} to {high:.4f}, n={value['n']})"
    if isinstance(value, list):
        if _nested(value):
            return f"{len(value)} entries"
        return _cut(", ".join(map(str, value)) or NONE)
    text = str(value)
    if len(text) == _HASH_LENGTH and not set(text) - set("0123456789abcdef"):
        return f"{text[:_SHOWN_DIGITS]}…"
    return _cut(text)


def _exact(value: Any) -> str:
    if _is_figure(value):
        return ", ".join(f"{name} {figure}" for name, figure in value.items())
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    """What is too long by its beginning and its hash."""
    if len(text) <= _LONG:
        return text
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:_SHOWN_DIGITS]
    return f"{text[: _LONG // 2]}… ({len(text):,} characters, sha256 {digest}…)"


def _lists(before: list[Any], after: list[Any]) -> str:
    """How much of two long lists differs; "" where they are short enough to be read."""
    if all(len(str(rows)) <= _LONG for rows in (before, after)) and not _nested(before, after):
        return ""
    if len(before) != len(after):
        return f"; {len(before):,} values, then {len(after):,}"
    apart = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    more = f"; {len(apart):,} of {len(before):,} differ"
    if all(isinstance(v, float) for pair in apart for v in pair):
        more += f", by at most {max(abs(a - b) for a, b in apart):.3g}"
    return more


def _nested(*lists: list[Any]) -> bool:
    return any(isinstance(v, (dict, list)) for rows in lists for v in rows)
