"""What an op is, and the table of all ops.

An `Op` is declared once, in the module of its family; importing `tapeless.ir.ops` fills `OPS`.
The registry is read everywhere and written only by `declare` at import.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import GraphError
from ..types import TensorType

TypeRule = Callable[[Sequence[TensorType], Mapping[str, Any]], tuple[TensorType, ...]]


class Family(enum.Enum):
    """Groups of ops that passes, fusion and lowering treat alike."""

    ELEMENTWISE = "elementwise"  # one result element from the operand elements at its index
    VIEW = "view"  # result elements are operand elements at another index
    JOIN = "join"  # result elements come from one of several places: pad, concatenate, update
    REDUCTION = "reduction"  # folds axes away
    CUMULATIVE = "cumulative"  # running folds along an axis
    OVERLAP = "overlap"  # adds up elements that lie over one another: unwindow
    CONTRACTION = "contraction"  # sums of products: dot
    INDEXING = "indexing"  # positions computed at run time: gather, scatter
    CREATION = "creation"  # no operands: constant, iota
    STRUCTURE = "structure"  # holds sub-graphs


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """One operation of the IR.

    `arity` is the number of operands (None: any). `attrs` names the attributes, all required, in
    printing order. `infer` gives the result types and raises `GraphError` for ill-typed operands.
    `reference(*arrays, **attrs)` computes the result with NumPy (a tuple when there are several);
    None only for structure ops that are expanded before anything runs. `cost` is a rough number
    of arithmetic instructions per result element; `fails` says that it can raise at run time.
    """

    name: str
    family: Family
    arity: int | None
    attrs: tuple[str, ...]
    infer: TypeRule
    reference: Callable[..., Any] | None
    doc: str
    cost: int = 1
    fails: bool = False

    def __repr__(self) -> str:
        return f"<op {self.name}>"


OPS: dict[str, Op] = {}
"""Every op by name."""


def declare(
    name: str,
    family: Family,
    arity: int | None,
    rule: TypeRule,
    reference: Callable[..., Any] | None,
    doc: str,
    *,
    attrs: tuple[str, ...] = (),
    cost: int = 1,
    fails: bool = False,
) -> Op:
    """Add an op to the table. Arity and attribute names are checked before `rule` runs."""

    def infer(
        operands: Sequence[TensorType], attributes: Mapping[str, Any]
    ) -> tuple[TensorType, ...]:
        if arity is not None and len(operands) != arity:
            raise GraphError(f"{name} takes {arity} operands", given=str(len(operands)))
        if attributes.keys() != expected:
            raise GraphError(
                f"{name} takes the attributes {sorted(expected)}", given=str(sorted(attributes))
            )
        return rule(operands, attributes)

    if name in OPS:
        raise GraphError(f"op {name} is declared twice")
    expected = frozenset(attrs)
    OPS[name] = Op(name, family, arity, attrs, infer, reference, doc, cost, fails)
    return OPS[name]


def require(condition: bool, requirement: str, operands: Sequence[TensorType]) -> None:
    """Raise `GraphError` with the operand types unless `condition` holds."""
    if not condition:
        raise GraphError(requirement, given=", ".join(map(str, operands)) or "no operands")
