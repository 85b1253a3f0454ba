"""INT8 that keeps a clinical budget: one search, a driver each format.

`driver` is what a format must be able to do (`onnx_driver`, `tflite_driver`, `openvino_driver`),
`search` tries, `budget` says what was lost and what may be.
"""
