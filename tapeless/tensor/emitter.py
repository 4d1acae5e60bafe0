"""Operations of the IR on tensors: `TensorEmitter`, which executes what traces emit at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..compiler.differentiate.expand import expand
from ..ir.errors import DomainError, OutOfBoundsError
from ..ir.graph import FORWARD, GraphBuilder, attributes_key
from ..ir.location import Location
from ..ir.ops.registry import Op
from .calls import Call
from .node import apply_call
from .plan import Plan, make_plan
from .tensor import Tensor

_NO_ATTRIBUTES: Mapping[str, Any] = {}


class TensorEmitter:
    """Implements `ir.emitter.Emitter`; handles are tensors.

    Every operation, transformations included, is a call whose graph is known: one node.
    """

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Call, Plan]] = {}

    def emit(
        self,
        op: Op,
        inputs: Sequence[Tensor],
        attrs: Mapping[str, Any] | None = None,
        *,
        loc: Location | None = None,
        phase: str = FORWARD,
    ) -> tuple[Tensor, ...]:
        """Compute `op` on `inputs`. Raises `OutOfBoundsError` and `DomainError` at `loc`."""
        attributes = attrs or _NO_ATTRIBUTES
        types = tuple(x.type for x in inputs)
        key = op.name, types, attributes_key(attributes)
        known = self._known.get(key)
        if known is None:
            builder = GraphBuilder(op.name)
            operands = [builder.input(type) for type in types]
            graph = builder.build(builder.emit(op, operands, attributes, loc=loc, phase=phase))
            known = self._known[key] = Call(graph), make_plan(expand(graph))
        call, plan = known
        try:
            return tuple(apply_call(call, plan.run, inputs, Tensor))
        except IndexError as error:
            raise OutOfBoundsError(
                f"{op.name} needs indices within their axes", given=str(error), loc=loc
            ) from None
        except ValueError as error:
            raise DomainError(
                f"{op.name} needs operands on which it is defined", given=str(error), loc=loc
            ) from None
