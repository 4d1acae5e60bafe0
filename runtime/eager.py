"""Define-by-run: every operation executed by NumPy when it is met.

`EagerEmitter` implements `ir.emitter.Emitter` with the ops' reference functions, so that the same
trace code that builds graphs computes with arrays instead. While at least one recording is open it
keeps the list of what it executed (the tape) from which gradients are derived; the list is dropped
when the last recording closes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..ir.errors import DomainError, GraphError, OutOfBoundsError
from ..ir.graph import FORWARD, Graph, GraphBuilder, Node
from ..ir.location import Location
from ..ir.ops.registry import Family, Op
from ..ir.types import TensorType
from .pointers import Array

_NO_ATTRIBUTES: Mapping[str, Any] = {}


class EagerValue:
    """The handle of a computed value: its array. Compared by identity, like a graph's `Value`.

    `origin` is another handle of the same value, for one that stands on the tape as a copy.
    """

    __slots__ = ("array", "origin")

    def __init__(self, array: Array, origin: EagerValue | None = None) -> None:
        self.array = array
        self.origin = origin

    @property
    def type(self) -> TensorType:
        """Element type and shape."""
        return TensorType(self.array.dtype, self.array.shape)


class EagerEmitter:
    """Executes operations at once. Results may share memory with operands; none is ever written.

    `expand` removes transformations from a graph: a `vmap` is executed as the operations that it
    stands for. Floating-point warnings are the caller's to silence, once for many operations.
    """

    def __init__(self, expand: Callable[[Graph], Graph]) -> None:
        self._expand = expand
        self._tape: list[Any] = []
        self.recordings = 0

    def emit(
        self,
        op: Op,
        inputs: Sequence[EagerValue],
        attrs: Mapping[str, Any] | None = None,
        *,
        loc: Location | None = None,
        phase: str = FORWARD,
    ) -> tuple[EagerValue, ...]:
        """Compute `op` on `inputs`. Raises `OutOfBoundsError` and `DomainError` at `loc`."""
        if op.family is Family.STRUCTURE:
            return self._emit_structure(op, inputs, attrs or _NO_ATTRIBUTES, loc, phase)
        outputs = _execute(op, inputs, attrs or _NO_ATTRIBUTES, loc)
        self._note(op, tuple(inputs), outputs, attrs or _NO_ATTRIBUTES, loc, phase)
        return outputs

    def _note(
        self, op: Op, operands: Any, outputs: Any, attrs: Mapping[str, Any], loc: Any, phase: str
    ) -> None:
        """Put a node on the tape. Handles stand in for values: rules look at identity and type."""
        if self.recordings:
            self._tape.append(Node(op, operands, outputs, attrs, loc, phase))

    def _emit_structure(
        self,
        op: Op,
        inputs: Sequence[EagerValue],
        attrs: Mapping[str, Any],
        loc: Location | None,
        phase: str,
    ) -> tuple[EagerValue, ...]:
        builder = GraphBuilder(op.name)
        values = [builder.input(value.type) for value in inputs]
        graph = self._expand(builder.build(builder.emit(op, values, attrs, loc=loc, phase=phase)))
        if op.name != "custom_vjp":
            return self.replay(graph, inputs)
        (node,) = graph.nodes
        operands, outputs = self._run_custom(inputs, node.attrs)
        self._note(op, operands, outputs, node.attrs, loc, phase)
        return outputs

    def replay(self, graph: Graph, inputs: Sequence[EagerValue]) -> tuple[EagerValue, ...]:
        """Emit the nodes of `graph`, which holds no transformations, on `inputs`."""
        env: dict[Any, EagerValue] = dict(zip(graph.inputs, inputs, strict=True))
        for node in graph.nodes:
            operands = [env[value] for value in node.inputs]
            results = self.emit(node.op, operands, node.attrs, loc=node.loc, phase=node.phase)
            env.update(zip(node.outputs, results, strict=True))
        return tuple(env[value] for value in graph.outputs)

    def _run_custom(
        self, inputs: Sequence[EagerValue], attrs: Mapping[str, Any]
    ) -> tuple[tuple[EagerValue, ...], tuple[EagerValue, ...]]:
        """Operands and results of a `custom_vjp` as `differentiate.reverse` wants them.

        The residuals follow the operands, as stand-ins: a cotangent for a residual itself (of
        second order) goes the way of the operations that computed it.
        """
        count = len(attrs["graph"].outputs)
        results = self.replay(attrs["forward"], inputs)
        residuals = tuple(EagerValue(value.array, value) for value in results[count:])
        outputs = tuple(EagerValue(value.array) for value in results[:count])
        return (*inputs, *residuals), outputs

    @contextmanager
    def recording(self) -> Iterator[list[Any]]:
        """Collects, in the list that it gives, the nodes executed inside the `with` block.

        Recordings nest: an outer one also contains what an inner one does.
        """
        start = len(self._tape)
        nodes: list[Any] = []
        self.recordings += 1
        try:
            yield nodes
        finally:
            nodes.extend(self._tape[start:])
            self.recordings -= 1
            if not self.recordings:
                self._tape.clear()


def _execute(
    op: Op, inputs: Sequence[EagerValue], attrs: Mapping[str, Any], loc: Location | None
) -> tuple[EagerValue, ...]:
    if op.reference is None:
        raise GraphError(f"{op.name} is expanded before it is executed", loc=loc)
    try:
        results = op.reference(*[value.array for value in inputs], **attrs)
    except IndexError as error:
        raise OutOfBoundsError(
            f"{op.name} needs indices within their axes", given=str(error), loc=loc
        ) from None
    except ValueError as error:
        raise DomainError(
            f"{op.name} needs operands on which it is defined", given=str(error), loc=loc
        ) from None
    if type(results) is tuple:
        return tuple([EagerValue(np.asarray(result)) for result in results])
    return (EagerValue(np.asarray(results)),)
