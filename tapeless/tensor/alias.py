"""A tensor under another name: what a transformation differentiates stands for an argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import TensorBase
from .lines import place
from .node import Edge, Node, edge_of


class AliasNode(Node):
    """Passes its cotangent on: to the leaf that collects it and to the tensor it stands for."""

    __slots__ = ("_type",)

    def __init__(self, inputs: Sequence[Edge], type: Any) -> None:
        super().__init__(inputs, place())
        self._type = type

    name = "alias"
    width = 1
    forward_mode = True

    def pull(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """The cotangent itself."""
        count = len(self.inputs)
        return [cotangents[0]] * count, [False] * count

    def pull_recorded(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """The cotangent itself."""
        return self.pull(cotangents)

    def release(self) -> None:
        """Nothing is kept."""

    def describe(self) -> str:
        """The type of the argument."""
        return f"{self.name}({self._type})"


def alias(source: TensorBase, leaf: TensorBase) -> Any:
    """The values of `source`; its gradient goes to `leaf`, and to `source` if that wants it."""
    made = type(source)._of(source._data)
    sources = [leaf, source] if source._wants else [leaf]
    made._node = AliasNode([edge_of(x) for x in sources], type(source._data).__name__)
    made._wants = True
    return made
