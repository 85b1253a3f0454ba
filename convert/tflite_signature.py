"""The signature of a TFLite file made to name the graph's true outputs.

ai-edge-quantizer adds a Dequantize behind an output and leaves the signature at the tensor before
it, where something else reads that tensor too: whoever asks the signature runner got int8 numbers.
"""

import struct

# Place of TensorMap.tensor_index in the table of the TFLite schema.
_TENSOR_INDEX = 6


def with_true_outputs(data: bytes, order: list[int]) -> bytes:
    """The file with its first signature's outputs pointing at the graph's.

    Args:
        order: for each output of the signature, sorted by name, its place among the graph's.

    The numbers are written in place: large files keep their weights behind the flatbuffer, at
    offsets that a second serialization would lose.
    """
    from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

    changed = bytearray(data)
    model = schema.Model.GetRootAs(changed, 0)
    if not model.SignatureDefsLength():
        return data
    signature = model.SignatureDefs(0)
    graph = model.Subgraphs(signature.SubgraphIndex())
    maps = sorted(
        (signature.Outputs(i) for i in range(signature.OutputsLength())), key=lambda m: m.Name()
    )
    for entry, place in zip(maps, order, strict=True):
        field = entry._tab.Offset(_TENSOR_INDEX)
        # Tensor 0 is the default and not stored; nothing there to write to.
        if field:
            struct.pack_into("<I", changed, entry._tab.Pos + field, graph.Outputs(place))
    return bytes(changed)
