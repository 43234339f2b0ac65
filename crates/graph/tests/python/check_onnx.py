"""Checks the ONNX files of a folder: each is valid, and gives the outputs that are written beside it.

CASE.onnx has CASE.txt with a line for each of its inputs and outputs:
"input" or "output", type, sizes ("2,3", or "-" for a number), name. The tensors are CASE.0.bin, ...
"""

import pathlib
import sys

import numpy
import onnx
import onnxruntime

TYPES = {"F32": numpy.float32, "F64": numpy.float64, "I64": numpy.int64, "U8": numpy.bool_}


def tensors(path):
    for number, line in enumerate(path.with_suffix(".txt").read_text().splitlines()):
        role, kind, sizes, name = line.split(" ", 3)
        shape = [] if sizes == "-" else [int(size) for size in sizes.split(",")]
        data = path.with_suffix(f".{number}.bin").read_bytes()
        yield role, name, numpy.frombuffer(data, TYPES[kind]).reshape(shape)


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = {name: value for role, name, value in tensors(path) if role == "input"}
    expected = [(name, value) for role, name, value in tensors(path) if role == "output"]
    assert [output.name for output in session.get_outputs()] == [name for name, _ in expected]
    for (name, value), got in zip(expected, session.run(None, given)):
        assert got.dtype == value.dtype, f"{name}: {got.dtype}, not {value.dtype}"
        assert got.shape == value.shape, f"{name}: {got.shape}, not {value.shape}"
        declared = [info for info in model.graph.output if info.name == name][0]
        assert len(declared.type.tensor_type.shape.dim) == got.ndim, f"{name}: declared rank"
        if got.dtype.kind == "f":
            numpy.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            numpy.testing.assert_array_equal(got, value, err_msg=name)


failed = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    try:
        check(path)
        print(f"{path.stem}: ok")
    except Exception as error:  # Every file is named.
        failed += 1
        print(f"{path.stem}: {error}")
sys.exit(failed > 0)
