"""A signature that names a tensor inside the graph is repaired."""

import struct
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from clinicedge.convert.tflite_signature import with_true_outputs


def broken(data: bytes) -> bytes:
    """With every output of the signature at tensor 1."""
    changed = bytearray(data)
    signature = schema.Model.GetRootAs(changed, 0).SignatureDefs(0)
    for i in range(signature.OutputsLength()):
        entry = signature.Outputs(i)
        struct.pack_into("<I", changed, entry._tab.Pos + entry._tab.Offset(6), 1)
    return bytes(changed)


def outputs(data: bytes) -> tuple[list[int], list[int]]:
    """Tensors of the graph's outputs, and of the signature's by name."""
    interpreter = Interpreter(model_content=data)
    named = interpreter.get_signature_runner("serving_default").get_output_details()
    return (
        [d["index"] for d in interpreter.get_output_details()],
        [named[name]["index"] for name in sorted(named)],
    )


def test_the_signature_names_the_true_outputs(plain_bundle: Path) -> None:
    (file,) = (plain_bundle / "artifacts" / "tflite").glob("int8*/main.tflite")
    data = file.read_bytes()
    mended = with_true_outputs(broken(data), [0, 1])
    graph, named = outputs(mended)
    assert named == graph
    assert len(mended) == len(data)
    assert with_true_outputs(mended, [0, 1]) == mended
