"""Elementary functions that straight-line code asks for again and again, as functions of their own.

Inside a loop they are emitted in place, once, where the processor overlaps them with what is
around. A long block without loops would have a copy for every place, all of which LLVM has to
compile and the processor to fetch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ...ir.ops import OPS
from ..lower.language import Compute, Statement, Var, type_text
from .assembly import Function, Operand
from .elementwise import element_type, emit_elementwise
from .operand import vector_type

_LONG = 20
"""`Op.cost` of functions that are worth a call."""

_MANY = 5
"""So many places make a routine of a function."""


@dataclass(frozen=True, eq=False, slots=True)
class Routine:
    """Functions of the same arguments, which are computed together: they share their beginnings,
    as sine and cosine do."""

    statements: tuple[Compute, ...]

    @property
    def name(self) -> str:
        """Names what is computed: equal for equal code."""
        first = self.statements[0]
        ops = "_".join(statement.op for statement in self.statements)
        return f"{ops}.{type_text(first.args[0])}"

    def call(self, b: Function, args: tuple[Operand, ...]) -> dict[Var, Operand]:
        """Call the routine, which is emitted into the module at its first call."""
        targets = [statement.target for statement in self.statements]
        types = [vector_type(element_type(var.dtype), var.lanes) for var in targets]
        result = types[0] if len(types) == 1 else "{ " + ", ".join(types) + " }"
        if not b.module.has_function(self.name):
            self._define(b, args, result)
        value = b.call(self.name, result, args)
        if len(types) == 1:
            return {targets[0]: value}
        return {
            target: b.instruction(type, f"extractvalue {result} {value.text}, {number}")
            for number, (target, type) in enumerate(zip(targets, types, strict=True))
        }

    def _define(self, b: Function, args: tuple[Operand, ...], result: str) -> None:
        params = [(arg.type, f"x{number}", "") for number, arg in enumerate(args)]
        own = b.module.function(
            self.name, result, params, linkage="internal", attributes="noinline nounwind"
        )
        values = [
            emit_elementwise(own, s.op, own.params, s.args[0].dtype, s.target.dtype)
            for s in self.statements
        ]
        if len(values) == 1:
            own.ret(values[0])
            return
        whole = Operand(result, "poison")
        for number, value in enumerate(values):
            text = f"insertvalue {result} {whole.text}, {value.type} {value.text}, {number}"
            whole = own.instruction(result, text)
        own.ret(whole)


def find_routines(statements: Iterable[Statement]) -> dict[Var, Routine]:
    """For every value that a call computes (of those outside of loops) the routine."""
    together: dict[tuple[Var, ...], list[Compute]] = {}
    for statement in statements:
        if isinstance(statement, Compute) and _is_long(statement):
            together.setdefault(statement.args, []).append(statement)
    routines = [
        Routine(tuple(sorted(group, key=lambda statement: statement.op)))
        for group in together.values()
    ]
    places = Counter(routine.name for routine in routines)
    return {
        statement.target: routine
        for routine in routines
        if places[routine.name] >= _MANY
        for statement in routine.statements
    }


def _is_long(statement: Compute) -> bool:
    op = OPS.get(statement.op)
    return op is not None and op.cost >= _LONG and statement.target.dtype.kind == "f"
