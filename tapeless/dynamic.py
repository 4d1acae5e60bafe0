"""`f.dynamic(*args)`: the function run define-by-run, as a tape-based library would run it.

Outside of transformations the function is plain Python on the caller's own NumPy arrays. Inside
one (`grad`, `vjp`, …) its arrays are traced arrays whose operations `runtime.eager` executes at
once and records; the gradient walks that record with the same rules as the compiler, and the
record is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .compiler.differentiate.expand import expand_transformations
from .compiler.differentiate.forward import forward
from .compiler.differentiate.reverse import reverse
from .compiler.trace.arguments import spec_of
from .compiler.trace.array import Kind, TracedArray
from .compiler.trace.context import Trace, activate, leaked
from .compiler.trace.lift import lift
from .compiler.trace.record import fit
from .ir.ops import OPS
from .ir.pytree import TreeDef, flatten
from .ir.types import DType, TensorType
from .runtime.eager import EagerEmitter, EagerValue

Array = np.ndarray[Any, Any]

_RESHAPE = OPS["reshape"]
_LIFTED = (TracedArray, np.ndarray, np.generic, float, int)


def run_dynamic(fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`fn(*args, **kwargs)`, with the transformations that it uses executed define-by-run."""
    with np.errstate(all="ignore"), activate(EagerTrace()):
        return fn(*args, **kwargs)


class EagerTrace(Trace):
    """The trace behind `f.dynamic`. Only what runs inside `record` sees traced arrays."""

    emitter: EagerEmitter

    def __init__(self) -> None:
        super().__init__(EagerEmitter(expand_transformations))
        # By id of the caller's array; it is kept alive so that the id stays its own.
        self._captured: dict[int, tuple[Array, TracedArray]] = {}

    @property
    def recording(self) -> bool:
        """Whether the function being run is inside a transformation."""
        return self.emitter.recordings > 0

    def capture(self, array: Array) -> TracedArray:
        """A snapshot, as the caller's array may change before the gradient is taken."""
        spec_of(array, "a captured array")
        known = self._captured.get(id(array))
        if known is not None and (known[1].version or _equal(known[1].value.array, array)):
            return known[1]
        found = array, TracedArray(self, EagerValue(array.copy()), contiguous=True)
        if self.recording:
            self._captured[id(array)] = found
        return found[1]

    def wrote(self, array: TracedArray) -> None:
        """Nothing to do: `record` looks when the function is done."""

    def restrict(self, array: TracedArray, dtype: DType) -> None:
        """Nothing to do: NumPy checks Python integers where they are used."""

    def adopt(self, array: TracedArray) -> TracedArray:
        """There is no enclosing trace to take arrays from."""
        raise leaked()

    def record(
        self, fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
    ) -> EagerRecorded:
        """Run `fn(*args, **kwargs)` on arrays whose operations are kept."""
        leaves, tree = flatten((tuple(args), dict(kwargs or {})))
        inside = self.recording
        wrapped = [self._wrap(leaf) for leaf in leaves]
        handles = [leaf.value if isinstance(leaf, TracedArray) else None for leaf in wrapped]
        with self.emitter.recording() as nodes:
            inner_args, inner_kwargs = tree.unflatten(wrapped)
            out, out_tree = flatten(fn(*inner_args, **inner_kwargs))
            out = [lift(leaf) if isinstance(leaf, _LIFTED) else leaf for leaf in out]
            out_handles = [leaf.value if isinstance(leaf, TracedArray) else None for leaf in out]
        operands = tuple(map(Operand, leaves, wrapped, handles))
        recorded = EagerRecorded(self, inside, nodes, operands, out_tree, out, out_handles)
        recorded.write_back()
        if not inside:
            self._write_captured(recorded)
        return recorded

    def _wrap(self, leaf: Any) -> Any:
        """A traced array of its own for a leaf, so that its other uses are not differentiated."""
        if isinstance(leaf, TracedArray):
            source = lift(leaf)
            (handle,) = self.emitter.emit(_RESHAPE, (source.value,), {"shape": source.shape})
            return TracedArray(
                self, handle, source.kind, origin=source.origin, contiguous=source.contiguous
            )
        if isinstance(leaf, np.ndarray):
            spec_of(leaf, "an array")
            return TracedArray(self, EagerValue(leaf), contiguous=leaf.flags.c_contiguous)
        if isinstance(leaf, np.generic | float):
            kind = Kind.FLOAT if type(leaf) is float else Kind.SCALAR
            return TracedArray(self, EagerValue(np.asarray(leaf)), kind)
        return leaf

    def _write_captured(self, recorded: EagerRecorded) -> None:
        """Carry updates of captured arrays out to them."""
        for array, traced in self._captured.values():
            if traced.version:
                recorded.keep_apart(array)
                np.copyto(array, traced.value.array)
        self._captured.clear()


def _equal(x: Array, y: Array) -> bool:
    return x.dtype == y.dtype and np.array_equal(x, y)


@dataclass(frozen=True, slots=True)
class Operand:
    """A leaf of the arguments, what stood for it in the function, and the handle of that."""

    leaf: Any
    wrapped: Any
    handle: EagerValue | None


class EagerRecorded:
    """`Recorded` on a tape. Inside another recording its arrays are traced, outside NumPy's."""

    def __init__(
        self,
        trace: EagerTrace,
        inside: bool,
        nodes: Sequence[Any],
        operands: Sequence[Operand],
        out_tree: TreeDef,
        inner_leaves: Sequence[Any],
        out_handles: Sequence[EagerValue | None],
    ) -> None:
        self._trace = trace
        self._inside = inside
        self._nodes = nodes
        self._operands = operands
        self._out_tree = out_tree
        self._inner_leaves = inner_leaves
        self._out_handles = out_handles
        self._outer_leaves: list[Any] | None = None
        self.in_leaves: Sequence[Any] = [operand.wrapped for operand in operands]

    @property
    def out_types(self) -> tuple[TensorType | None, ...]:
        """The type of each output leaf (None for one that is no array)."""
        return tuple(None if handle is None else handle.type for handle in self._out_handles)

    @property
    def out_leaves(self) -> Sequence[Any]:
        """The leaves of `out`."""
        if self._outer_leaves is None:
            self._outer_leaves = self._outward()
        return self._outer_leaves

    @property
    def out(self) -> Any:
        """The result of the function: traced inside another recording, else as from NumPy."""
        return self._out_tree.unflatten(self.out_leaves)

    def vjp(self, cotangents: Sequence[Any | None], wrt: Sequence[int]) -> list[TracedArray]:
        """Cotangents of the input leaves `wrt`, from one cotangent per output leaf (None: 0)."""
        seeds: dict[EagerValue, TracedArray] = {}
        for handle, cotangent in zip(self._out_handles, cotangents, strict=True):
            if cotangent is not None and handle is not None:
                seed = fit(cotangent, handle.type)
                seeds[handle] = seeds[handle] + seed if handle in seeds else seed
        handles = [self._operands[leaf].handle for leaf in wrt]
        found = reverse(self._nodes, seeds, handles, self._lookup)
        likes = [self._operands[leaf].wrapped for leaf in wrt]
        return self._derivatives(found, likes, seeds.values())

    def jvp(self, tangents: Mapping[int, Any]) -> list[TracedArray | None]:
        """A tangent per output leaf (None for those that do not vary)."""
        seeds: dict[Any, TracedArray] = {}
        for leaf, tangent in tangents.items():
            handle = self._operands[leaf].handle
            assert handle is not None, "tangents belong to arrays"
            seeds[handle] = fit(tangent, handle.type)
        found = forward(self._nodes, seeds, self._out_handles, self._lookup)
        return self._derivatives(found, self._inner_leaves, seeds.values())

    def _lookup(self, handle: EagerValue) -> TracedArray:
        return TracedArray(self._trace, handle.origin or handle)

    def _derivatives(
        self,
        found: Sequence[TracedArray | None],
        likes: Sequence[Any],
        seeds: Iterable[TracedArray],
    ) -> list[Any]:
        """The derivatives as the caller gets them: of its own kind, with memory of their own."""
        taken = {id(seed.value) for seed in seeds} | self._handles()
        results: list[Any] = []
        for derivative, like in zip(found, likes, strict=True):
            if derivative is None:
                results.append(None)
                continue
            kind = Kind.ARRAY if like.kind is Kind.ARRAY else Kind.SCALAR
            if self._inside:
                results.append(TracedArray(self._trace, derivative.value, kind))
            else:
                results.append(_concrete(derivative.value, kind, taken))
        return results

    def _handles(self) -> set[int]:
        """The ids of the handles of all values of the recorded function."""
        known = {id(operand.handle) for operand in self._operands}
        for node in self._nodes:
            known.update(map(id, node.inputs))
            known.update(map(id, node.outputs))
        return known

    def _outward(self) -> list[Any]:
        if self._inside:
            return [self._outer(leaf) for leaf in self._inner_leaves]
        taken = self._handles()
        made: dict[int, Any] = {}
        for leaf in self._inner_leaves:
            if isinstance(leaf, TracedArray) and id(leaf) not in made:
                made[id(leaf)] = self._own(leaf, taken)
        return [made.get(id(leaf), leaf) for leaf in self._inner_leaves]

    def _outer(self, leaf: Any) -> Any:
        """For an argument that the function returns, the caller's own array (or a view of it)."""
        if not isinstance(leaf, TracedArray):
            return leaf
        if leaf.lens is None:
            owners = (o.leaf for o in self._operands if o.wrapped is leaf)
            return next((owner for owner in owners if isinstance(owner, TracedArray)), leaf)
        lens = leaf.lens
        parent = self._outer(lens.parent)
        return parent.view_like(lens)

    def _own(self, leaf: TracedArray, taken: set[int]) -> Any:
        """The same outside of all recordings."""
        if leaf.lens is None:
            owners = (o.leaf for o in self._operands if o.wrapped is leaf)
            owner = next(owners, None)
            return owner if owner is not None else _concrete(leaf.value, leaf.kind, taken)
        array: Array = leaf.lens.recipe(np.asarray(self._own(leaf.lens.parent, taken)))
        return array

    def hold(self) -> None:
        """Keep the derivative right even if the caller's arrays change before it is asked for."""
        for operand in self._operands:
            if isinstance(operand.leaf, np.ndarray):
                self.keep_apart(operand.leaf)

    def write_back(self) -> None:
        """Carry the function's in-place updates of its arguments out to the caller's arrays."""
        for operand in self._operands:
            wrapped = operand.wrapped
            if not isinstance(wrapped, TracedArray) or wrapped.value is operand.handle:
                continue
            if isinstance(operand.leaf, TracedArray):
                operand.leaf.write(wrapped.value)
            else:
                self.keep_apart(operand.leaf)
                np.copyto(operand.leaf, wrapped.value.array)

    def keep_apart(self, array: Array) -> None:
        """Give every recorded value that shares the caller's memory a copy, before it changes."""
        handles = [operand.handle for operand in self._operands if operand.handle is not None]
        for node in self._nodes:
            handles.extend(node.outputs)
        for handle in handles:
            if np.may_share_memory(handle.array, array):
                handle.array = handle.array.copy()


def _concrete(handle: EagerValue, kind: Kind, taken: set[int]) -> Any:
    """The value as NumPy or Python would give it; an array that nothing else holds."""
    array = handle.array
    if kind.weak:
        return array.item()
    if kind is Kind.SCALAR:
        return array[()]
    if id(handle) in taken or not array.flags.owndata:
        return array.copy()
    taken.add(id(handle))
    return array
