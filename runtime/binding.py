"""From the plan of a specialization and one call of it to the `EntrySpec` of its native entry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import entry as ir
from ..ir.program import Program
from ..ir.pytree import LEAF, Path, TreeDef
from ..ir.types import BOOL as BOOLEAN
from ..ir.types import DTYPE_NAMES, FLOAT64, INT64, TensorType
from .call import Plan, Result, ResultKind
from .context import Context
from .executable import Executable
from .pointers import is_dense
from .watching import Place, watch


class NotNative(Exception):
    """A call that only the Python path can do; the message says why."""


@dataclass(frozen=True, slots=True)
class Form:
    """A call as it was made: `values` by position, then by keyword, whose names are `names`.

    `order` are the places of the traced arguments among them, in the order of the plan's leaves;
    the others are static. `paths[i]` leads to `values[i]` from `(args, kwargs)` as the plan has it.
    """

    values: tuple[Any, ...]
    names: tuple[str, ...]
    order: tuple[int, ...]
    paths: tuple[Path, ...]


_NUMBERS = {
    float: (ir.Number.FLOAT, FLOAT64),
    int: (ir.Number.INT, INT64),
    bool: (ir.Number.BOOL, BOOLEAN),
}
"""Python numbers, and the element types that they are passed as."""

_BOXED = {dtype: number for number, dtype in _NUMBERS.values()}
_SCALARS = {dtype.type for dtype in DTYPE_NAMES.values()}


class Binder:
    """Makes the spec and the context of one entry. Raises `NotNative`."""

    def __init__(self, plan: Plan, executable: Executable) -> None:
        self.plan = plan
        self._executable = executable
        self.program: Program = executable.program
        self.context = Context()
        self._first_output = len(self.program.inputs)
        self._buffers = {leaf: position for position, leaf in plan.inputs}
        self._arrays: list[tuple[int, int]] = []  # leaves that are arrays, with their buffers
        self._containers: dict[Path, tuple[int, type]] = {}  # those that the function changes
        self._writes = {write.path[:-1] for write in plan.writes}
        self._leaf = 0

    def bind(self, form: Form, places: Sequence[Place]) -> ir.EntrySpec:
        """The spec for calls in this form whose arguments have the signature of these."""
        arguments: list[ir.Argument | None] = [None] * len(form.values)
        for place in form.order:
            arguments[place] = self._argument(form.values[place], form.paths[place])
        for place, value in enumerate(form.values):
            if arguments[place] is None:
                arguments[place] = self._static(value)
        captured = tuple(self._capture(array) for array in self.plan.captured)
        span, rest = watch(places, self.context)
        new = self._new_arrays()
        return ir.EntrySpec(
            positional=len(form.values) - len(form.names),
            names=ir.Span(self.context.objects(form.names), len(form.names)),
            arguments=tuple(argument for argument in arguments if argument is not None),
            captured=captured,
            watched=span,
            check_word=self.context.object(_all_hold(rest)) if rest else None,
            regions=self._regions(),
            in_place=self._in_place(),
            new=tuple(new.values()),
            copies=tuple(self._copies()),
            results=tuple(self._result(result, list(new)) for result in self.plan.results),
            writes=tuple(self._write(w.path, w.result) for w in self.plan.writes),
            structure=self._structure(),
            releases_lock=self._executable.releases_lock,
            parallel=self.program.is_parallel,
        )

    # -- arguments ---------------------------------------------------------------------------------

    def _argument(self, value: Any, path: Path) -> ir.Argument:
        kind = type(value)
        if kind is np.ndarray:
            return self._array(value)
        if kind in _NUMBERS:
            return self._number(kind)
        if kind in _SCALARS:
            return self._scalar(value)
        if value is None:
            return ir.ConstantArgument(self.context.object(None))
        if kind is dict:
            keys = self.context.objects(list(value))
            children = self._children(value.items(), path)
            return ir.DictArgument(keys, children, self._write_number(value, path))
        if kind in (list, tuple) or (isinstance(value, tuple) and hasattr(kind, "_fields")):
            children = self._children(enumerate(value), path)
            word = self.context.object(kind)
            write = self._write_number(value, path)
            return ir.SequenceArgument(word, kind is list, children, write)
        raise NotNative(f"an argument holds a {kind.__name__}")

    def _children(self, items: Iterable[tuple[Any, Any]], path: Path) -> tuple[ir.Argument, ...]:
        return tuple(self._argument(child, (*path, ("item", key))) for key, child in items)

    def _write_number(self, container: Any, path: Path) -> int | None:
        """The number of a container that the function changes."""
        if path not in self._writes:
            return None
        self._containers[path] = len(self._containers), type(container)
        return self._containers[path][0]

    def _next_leaf(self) -> int:
        self._leaf += 1
        return self._leaf - 1

    def _array(self, array: Any) -> ir.ArrayArgument:
        leaf = self._next_leaf()
        buffer = self._buffers.get(leaf)
        if buffer is not None:
            if not is_dense(array):
                raise NotNative("an array is not row-major and aligned: it is copied at each call")
            self._arrays.append((leaf, buffer))
        return ir.ArrayArgument(leaf, self.context.shape_of(array), buffer)

    def _number(self, kind: type) -> ir.NumberArgument:
        leaf = self._next_leaf()
        number, dtype = _NUMBERS[kind]
        buffer = self._buffers.get(leaf)
        self._require_input(buffer, TensorType(dtype))
        bounds = self.plan.ranges.get(leaf) if kind is int else None
        return ir.NumberArgument(leaf, number, buffer, bounds)

    def _scalar(self, value: Any) -> ir.ScalarArgument:
        leaf = self._next_leaf()
        buffer = self._buffers.get(leaf)
        self._require_input(buffer, TensorType(value.dtype))
        return ir.ScalarArgument(leaf, self.context.object(type(value)), value.nbytes, buffer)

    def _require_input(self, buffer: int | None, type: TensorType) -> None:
        if buffer is not None and self.program.inputs[buffer] != type:
            raise NotNative("a number is converted at each call")

    def _static(self, value: Any) -> ir.ConstantArgument:
        if not _is_fixed(value):
            raise NotNative(f"a static argument is a {type(value).__name__}")
        return ir.ConstantArgument(self.context.object(value))

    def _capture(self, array: Any) -> ir.Captured:
        return ir.Captured(self.context.object(array), self._array(array))

    # -- buffers -----------------------------------------------------------------------------------

    def _regions(self) -> ir.Span:
        """The arrays among which an updated one must not overlap another."""
        written = set(self.plan.updates.values())
        sizes = self.program.inputs
        places = [
            self.context.region(buffer, sizes[buffer].nbytes, leaf in written)
            for leaf, buffer in self._arrays
            if written and sizes[buffer].nbytes
        ]
        return ir.Span(places[0], len(places)) if places else ir.Span(0, 0)

    def _in_place(self) -> tuple[tuple[int, int], ...]:
        pairs = self.program.in_place.items()
        return tuple((self._first_output + output, source) for output, source in pairs)

    def _new_arrays(self) -> dict[int, ir.NewArray]:
        """Outputs that become arrays of the caller's, by output."""
        made: dict[int, ir.NewArray] = {}
        for result in self.plan.results:
            output = result.index
            if result.kind is not ResultKind.ARRAY or output in made:
                continue
            if output in self.program.in_place:
                raise NotNative("a result is an argument's memory")
            word = self.context.output(self.program.outputs[output])
            made[output] = ir.NewArray(word, self._first_output + output)
        return made

    def temporaries(self) -> list[tuple[int, TensorType]]:
        """Entries of the buffer table that need memory: outputs that are only copied."""
        arrays = {r.index for r in self.plan.results if r.kind is ResultKind.ARRAY}
        return [
            (self._first_output + output, type)
            for output, type in enumerate(self.program.outputs)
            if output not in self.program.in_place and output not in arrays and type.shape != ()
        ]

    def _copies(self) -> list[ir.Copy]:
        buffers = dict(self._arrays)
        copies = []
        for output, leaf in self.plan.updates.items():
            if output not in self.program.in_place:
                if leaf not in buffers:
                    raise NotNative("an updated argument is no input of the program")
                nbytes = self.program.outputs[output].nbytes
                copies.append(ir.Copy(self._first_output + output, buffers[leaf], nbytes))
        return copies

    # -- results -----------------------------------------------------------------------------------

    def _result(self, result: Result, new: Sequence[int]) -> ir.Result:
        made: ir.Result
        if result.kind is ResultKind.ARRAY:
            made = ir.ArrayResult(new.index(result.index))
        elif result.kind is ResultKind.ARGUMENT:
            made = ir.ArgumentResult(result.index)
        elif result.kind is ResultKind.OBJECT:
            made = ir.ObjectResult(self.context.object(result.value))
        else:
            made = self._number_result(result)
        if result.view is None:
            return made
        if not isinstance(made, ir.ArrayResult | ir.ArgumentResult):
            raise NotNative("a result is a view of a number")
        return ir.ViewResult(self.context.object(result.view), made)

    def _number_result(self, result: Result) -> ir.Result:
        dtype = self.program.outputs[result.index].dtype
        buffer = self._first_output + result.index
        if result.kind is ResultKind.SCALAR:
            return ir.ScalarResult(self.context.object(dtype), buffer)
        if dtype not in _BOXED:
            raise NotNative(f"a result is a Python number of dtype {dtype}")
        return ir.NumberResult(_BOXED[dtype], buffer)

    def _write(self, path: Path, result: int) -> ir.Write:
        how, key = path[-1]
        if how != "item" or path[:-1] not in self._containers:
            raise NotNative("an attribute of an argument is bound anew")
        container, kind = self._containers[path[:-1]]
        if kind is list:
            return ir.Write(container, None, key, result)
        return ir.Write(container, self.context.object(key), 0, result)

    def _structure(self) -> ir.ResultTree:
        return self._tree(self.plan.structure, iter(self.plan.leaves))

    def _tree(self, tree: TreeDef, leaves: Any) -> ir.ResultTree:
        if tree == LEAF:
            return ir.ResultLeaf(next(leaves))
        if tree.container in _BUILT:
            children = tuple(self._tree(child, leaves) for child in tree.children)
            if tree.container is dict:
                return ir.ResultDict(self.context.objects(tree.keys), children)
            return ir.ResultSequence(tree.container is list, children)
        if tree.container is type(None):
            return ir.ResultObject(self.context.object(None))
        taken = tuple(next(leaves) for _ in range(tree.num_leaves))
        return ir.ResultMade(self.context.object(tree.unflatten), taken)


_BUILT = (dict, list, tuple)


def _all_hold(places: Sequence[Place]) -> Any:
    checks = [place.holds for place in places]
    return lambda: all([holds() for holds in checks])


_FIXED = (str, bytes, int, float, bool, type(None), type(lambda: 0), type)


def _is_fixed(value: Any) -> bool:
    """Whether the same object is sure to be an equal value."""
    if type(value) is tuple:
        return all(map(_is_fixed, value))
    return type(value) in _FIXED
