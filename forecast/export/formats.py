"""Graphs as files: ONNX, and torch's own format."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from forecast.errors import ConfigError, ExtraError, unknown_name
from forecast.export.door import BATCH, Field

OPSET = 20  # of ONNX
EXTRA = "pip install 'recurrent-forecast[export]'"
TRACED = 3  # rows of the example that a graph is traced with: 0 and 1 are special to torch


class Exportable(Protocol):
    """A module that takes the tensors of `inputs`, in order, and gives those of `outputs`."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs."""


def traced(graph: Any) -> Any:
    """Return the program of a graph with any number of rows; inputs that it does not read are taken from `inputs`.

    Raises
    ------
    ConfigError
        If torch cannot follow it.
    """
    program = _program(graph)
    given = [node for node in program.graph.nodes if node.op == "placeholder"][-len(graph.inputs) :]
    read = [any(user.target is not torch.ops.aten.sym_size.int for user in node.users) for node in given]
    if all(read):
        return program
    graph.inputs = tuple(field for field, is_read in zip(graph.inputs, read, strict=True) if is_read)
    return _program(graph)


def _program(graph: Any) -> Any:
    rows = torch.export.Dim(BATCH)
    example = tuple(field.example(TRACED) for field in graph.inputs)
    with _quiet():
        try:
            program = torch.export.export(graph, example, dynamic_shapes={"given": tuple({0: rows} for _ in example)})
        except Exception as error:  # torch raises what its parts raise
            raise ConfigError(
                f"torch.export cannot follow this network or loss ({_first_line(error)}), and it cannot be exported. "
                "A network of your own needs plain tensor operations, without branches on values or loops over them."
            ) from error
        program.graph.eliminate_dead_code()
    return program


def onnx_bytes(program: Any, graph: Exportable) -> bytes:
    """Return a program as ONNX."""
    with _quiet():
        try:
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[field.name for field in graph.inputs],
                output_names=[field.name for field in graph.outputs],
            )
        except torch.onnx.OnnxExporterError as error:
            raise ConfigError(
                f"this network or loss has no form in ONNX ({_first_line(error)}). Give format=torch_export."
            ) from error
    assert made is not None  # as no file is named
    model = made.model_proto
    for value in (*model.graph.input, *model.graph.output):  # torch numbers the sizes that it does not know
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    del model.graph.value_info[:]
    return model.SerializeToString()


def torch_bytes(program: Any, graph: Exportable) -> bytes:
    """Return a program in torch's own format, for `torch.export.load`."""
    content = io.BytesIO()
    with _quiet():
        torch.export.save(program, content)
    return content.getvalue()


WRITERS: dict[str, tuple[str, Callable[[Any, Exportable], bytes]]] = {
    "onnx": (".onnx", onnx_bytes),
    "torch_export": (".pt2", torch_bytes),
}


def writer_of(name: object) -> tuple[str, Callable[[Any, Exportable], bytes]]:
    """Return the end of a format's file names and what writes it.

    Raises
    ------
    ConfigError
        If there is no such format, or it needs packages that are not installed.
    """
    if not isinstance(name, str) or name not in WRITERS:
        raise ConfigError(unknown_name("format", name, WRITERS))
    if name == "onnx":
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ModuleNotFoundError as error:
            raise ExtraError(f"format=onnx needs packages that are not installed: {EXTRA}.") from error
    return WRITERS[name]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what torch says of its own workings while it exports."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0].rstrip('.')}"
