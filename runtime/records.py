"""Frozen dataclasses to JSON and back, strictly: no missing, unknown or mistyped field passes."""

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import SchemaError

T = TypeVar("T")
# Whole numbers beyond this have no float64 of their own.
_MAX_WHOLE = 2**53


def to_json(value: Any) -> Any:
    """The record as dicts, lists and scalars, in field order."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value


def dump_bytes(value: Any) -> bytes:
    """The record as UTF-8 JSON; equal records give equal bytes."""
    text = json.dumps(to_json(value), ensure_ascii=False, indent=1, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def from_json(cls: type[T], data: Any, where: str) -> T:
    """Read `data` as an instance of the dataclass `cls`.

    Args:
        where: what the data is, for messages, e.g. "bundle.json".

    Raises:
        SchemaError: a field is missing, unknown or of another type; the message has its path.
    """
    result: T = _read(cls, data, where)
    return result


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _wrong(where: str, expected: str, found: Any) -> SchemaError:
    shown = repr(found)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return SchemaError(
        f"{where}: found {shown}, expected {expected}. "
        "The file was damaged or written by another tool; convert again."
    )


def _read(kind: Any, data: Any, where: str) -> Any:
    origin = get_origin(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_dataclass(kind, data, where)
    if origin is Literal:
        if data not in get_args(kind) or isinstance(data, bool):
            raise _wrong(where, "one of " + ", ".join(map(repr, get_args(kind))), data)
        return data
    if origin in (Union, types.UnionType):
        return _read_optional(kind, data, where)
    if origin is tuple:
        return _read_tuple(kind, data, where)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(data, dict):
            raise _wrong(where, "an object", data)
        value_kind = get_args(kind)[1]
        return {k: _read(value_kind, v, f"{where}.{k}") for k, v in data.items()}
    return _read_scalar(kind, data, where)


def _read_scalar(kind: Any, data: Any, where: str) -> Any:
    if kind is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        if (isinstance(data, int) and abs(data) > _MAX_WHOLE) or not math.isfinite(data):
            raise _wrong(where, "a finite number", data)
        return float(data)
    if kind is bool and isinstance(data, bool):
        return data
    if kind is int and isinstance(data, int) and not isinstance(data, bool):
        return data
    if kind is str and isinstance(data, str):
        return data
    raise _wrong(where, f"a value of type {kind.__name__}", data)


def _read_optional(kind: Any, data: Any, where: str) -> Any:
    options = [k for k in get_args(kind) if k is not type(None)]
    if data is None:
        return None
    if len(options) != 1:
        raise TypeError(f"{where}: only `X | None` unions can be read, the record has {kind}")
    return _read(options[0], data, where)


def _read_tuple(kind: Any, data: Any, where: str) -> tuple[Any, ...]:
    args = get_args(kind)
    if not isinstance(data, list):
        raise _wrong(where, "a list", data)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_read(args[0], v, f"{where}[{i}]") for i, v in enumerate(data))
    if len(data) != len(args):
        raise _wrong(where, f"a list of {len(args)} values", data)
    return tuple(
        _read(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(args, data, strict=True))
    )


def _read_dataclass(cls: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise _wrong(where, f"an object with the fields of {cls.__name__}", data)
    hints = _hints(cls)
    known = {f.name: f for f in fields(cls)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise _wrong(where, "no field " + ", ".join(map(repr, unknown)), sorted(data))
    values = {}
    for name, field in known.items():
        if name in data:
            values[name] = _read(hints[name], data[name], f"{where}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise _wrong(where, f"the field {name!r}", sorted(data))
    return cls(**values)
