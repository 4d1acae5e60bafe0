"""`f.dynamic(*args)`: the function run define-by-run, as a tape-based library would run it.

Outside of transformations the function is plain Python on the caller's own NumPy arrays. Inside
one (`grad`, `vjp`, …) its arrays are `Tensor`s; the derivative is taken from the graph that they
leave behind, with the compiler's rules, and the graph is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .compiler.trace.arguments import spec_of
from .compiler.trace.array import TracedArray
from .compiler.trace.context import Trace, activate, leaked
from .compiler.trace.foreign import ForeignArray
from .ir.errors import DifferentiationError
from .ir.pytree import TreeDef, flatten, map_leaves
from .ir.types import DType, TensorType, is_float
from .tensor.alias import alias
from .tensor.backward import gradients
from .tensor.base import next_number
from .tensor.emitter import TensorEmitter
from .tensor.inplace import seen_through, set_values, view_chain
from .tensor.modes import MODE
from .tensor.node import Node, snapshot
from .tensor.stand_ins import StandIns
from .tensor.tensor import Tensor

Array = np.ndarray[Any, Any]


def run_dynamic(fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`fn(*args, **kwargs)`, with the transformations that it uses executed define-by-run."""
    with np.errstate(all="ignore"), activate(DynamicTrace()):
        return fn(*args, **kwargs)


class DynamicTrace(Trace):
    """The trace behind `f.dynamic`. Only what runs inside `record` sees tensors.

    Transformations that need a graph of their own (`vmap`, Jacobians) trace one, and their arrays
    of this trace are traced arrays whose handles are tensors.
    """

    emitter: TensorEmitter

    def __init__(self) -> None:
        super().__init__(TensorEmitter())
        self.at_once = True
        self._recordings = 0
        # By id of the tensor, and of the traced array; both are kept so that ids stay their own.
        self._entered: dict[int, tuple[Tensor, TracedArray]] = {}
        self._originals: dict[int, Tensor] = {}

    @property
    def recording(self) -> bool:
        """Whether the function being run is inside a transformation."""
        return self._recordings > 0

    def capture(self, array: Array) -> TracedArray:
        """A snapshot, as the caller's array may change before the gradient is taken."""
        spec_of(array, "a captured array")
        found = MODE.stand_ins.find(array) if MODE.stand_ins is not None else None
        if isinstance(found, Tensor):
            return self.foreign(found)
        return TracedArray(self, Tensor._of(snapshot(array)), contiguous=True)

    def foreign(self, array: ForeignArray) -> TracedArray:
        """The traced array for a tensor, always the same one."""
        assert isinstance(array, Tensor)
        known = self._entered.get(id(array))
        if known is None:
            traced = TracedArray(self, array, contiguous=array._data.flags.c_contiguous)
            known = self._entered[id(array)] = array, traced
            self._originals[id(traced)] = array
        return known[1]

    def wrote(self, array: TracedArray) -> None:
        """Carry the update of a traced array out to the tensor that it stands for."""
        original = self._originals.get(id(array))
        if original is not None:
            set_values(original, array.value)
            array._handle = original  # which may be updated again, in the tensor's own way

    def restrict(self, array: TracedArray, dtype: DType) -> None:
        """Nothing to do: NumPy checks Python integers where they are used."""

    def adopt(self, array: TracedArray) -> TracedArray:
        """There is no enclosing trace to take arrays from."""
        raise leaked()

    def outward(self, tree: Any) -> Any:
        """A result as user code sees it: tensors for traced arrays."""
        return map_leaves(_outward, tree)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        before = MODE.grad, MODE.preserve, MODE.stand_ins
        self._recordings += 1
        MODE.grad = MODE.preserve = True
        MODE.stand_ins = StandIns() if before[2] is None else before[2]
        try:
            yield
        finally:
            MODE.grad, MODE.preserve, MODE.stand_ins = before
            self._recordings -= 1
            if not self._recordings:
                self._entered.clear()
                self._originals.clear()

    def record(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None = None,
        wrt: Sequence[int] | None = None,
    ) -> DynamicRecorded:
        """Run `fn(*args, **kwargs)` on tensors."""
        leaves, tree = flatten((tuple(args), dict(kwargs or {})))
        inside = self.recording
        with self._recording():
            since = next_number()
            chosen = range(len(leaves)) if wrt is None else wrt
            operands = [_operand(leaf, i in chosen) for i, leaf in enumerate(leaves)]
            inner_args, inner_kwargs = tree.unflatten([operand.inner for operand in operands])
            out, out_tree = flatten(fn(*inner_args, **inner_kwargs))
            for operand in operands:
                operand.write_back()
        return DynamicRecorded(inside, since, operands, out_tree, out)


def _outward(leaf: Any) -> Any:
    if not isinstance(leaf, TracedArray):
        return leaf
    return leaf.literal if leaf.literal is not None else leaf.value


@dataclass(frozen=True, slots=True)
class Operand:
    """A leaf of the arguments and what stood for it in the function.

    `inner` is a tensor for arrays, on memory of its own; `leaf` requires gradients on its behalf,
    if derivatives may be asked for.
    """

    outer: Any
    inner: Any
    leaf: Tensor | None

    def write_back(self) -> None:
        """Carry the function's in-place updates of an argument out to the caller's array."""
        if self.inner is self.outer or not isinstance(self.inner, Tensor):
            return
        if self.inner._memory.written:
            if isinstance(self.outer, Tensor):
                set_values(self.outer, self.inner)
            elif isinstance(self.outer, np.ndarray):
                np.copyto(self.outer, self.inner._data)


def _operand(leaf: Any, chosen: bool) -> Operand:
    """A tensor of its own for a leaf, so that its other uses are not differentiated."""
    if isinstance(leaf, TracedArray):
        leaf = _outward(leaf)
    if isinstance(leaf, Tensor):
        source = leaf
    elif isinstance(leaf, np.ndarray):
        spec_of(leaf, "an array")
        source = Tensor._of(snapshot(leaf))
    elif chosen and isinstance(leaf, np.generic | float):
        source = Tensor._of(leaf)
    else:
        return Operand(leaf, leaf, None)
    if not chosen or not is_float(source.dtype):
        return Operand(leaf, source, None)
    hidden: Tensor = Tensor._of(source._data)
    hidden._wants = True
    return Operand(leaf, alias(source, hidden), hidden)


class DynamicRecorded:
    """`Recorded` on tensors. Inside another recording its arrays are tensors, outside NumPy's."""

    def __init__(
        self,
        inside: bool,
        since: int,
        operands: Sequence[Operand],
        out_tree: TreeDef,
        inner_leaves: Sequence[Any],
    ) -> None:
        self._inside = inside
        self._since = since
        self._operands = operands
        self._out_tree = out_tree
        self._inner_leaves = inner_leaves
        self._outer_leaves: list[Any] | None = None
        self.in_leaves: Sequence[Any] = [operand.inner for operand in operands]

    @property
    def out_types(self) -> tuple[TensorType | None, ...]:
        """The type of each output leaf (None for one that is no array)."""
        return tuple(_type_of(leaf) for leaf in self._inner_leaves)

    @property
    def out_leaves(self) -> Sequence[Any]:
        """The leaves of `out`."""
        if self._outer_leaves is None:
            made = {id(leaf): self._outer(leaf) for leaf in self._inner_leaves}
            self._outer_leaves = [made[id(leaf)] for leaf in self._inner_leaves]
        return self._outer_leaves

    @property
    def out(self) -> Any:
        """The result of the function: tensors inside another recording, else as from NumPy."""
        return self._out_tree.unflatten(self.out_leaves)

    def vjp(self, cotangents: Sequence[Any | None], wrt: Sequence[int]) -> list[Any]:
        """Cotangents of the input leaves `wrt`, from one cotangent per output leaf (None: 0)."""
        seeds = [
            (leaf, self._fitting(cotangent, leaf))
            for leaf, cotangent in zip(self._inner_leaves, cotangents, strict=True)
            if cotangent is not None and isinstance(leaf, Tensor) and leaf.requires_grad
        ]
        leaves = [self._leaf(position) for position in wrt]
        found = gradients(seeds, leaves, create_graph=self._inside, since=self._since)
        return [self._derivative(pulled, leaf) for pulled, leaf in zip(found, leaves, strict=True)]

    def jvp(self, tangents: Mapping[int, Any]) -> list[Any | None]:
        """A tangent per output leaf (None for those that do not vary).

        The pullback is linear in its cotangents; its own pullback carries tangents forward.
        """
        outputs = [
            leaf for leaf in self._inner_leaves if isinstance(leaf, Tensor) and leaf.requires_grad
        ]
        leaves = [self._leaf(position) for position in tangents]
        before = next_number()
        cotangents = [_leaf_like(leaf) for leaf in outputs]
        pulled = gradients(
            zip(outputs, cotangents, strict=True),
            leaves,
            create_graph=True,
            since=self._since,
            visit=_require_forward_mode,
        )
        seeds = [
            (g[0], self._fitting(tangent, g[0]))
            for g, tangent in zip(pulled, tangents.values(), strict=True)
            if g is not None and g[0].requires_grad
        ]
        found = gradients(seeds, cotangents, create_graph=self._inside, since=before)
        moved = {
            id(leaf): None if tangent is None else self._derivative(tangent, leaf)
            for leaf, tangent in zip(outputs, found, strict=True)
        }
        return [moved.get(id(leaf)) for leaf in self._inner_leaves]

    def _leaf(self, position: int) -> Tensor:
        leaf = self._operands[position].leaf
        assert leaf is not None, "derivatives are with respect to chosen leaves"
        return leaf

    def _fitting(self, cotangent: Any, like: Tensor) -> Any:
        """A cotangent or tangent of the type that it belongs to."""
        given = _outward(cotangent)
        if self._inside:
            if not isinstance(given, Tensor):
                given = Tensor._of(np.asarray(given))
            same = given.shape == like.shape and given.dtype == like.dtype
            return given if same else np.broadcast_to(given, like.shape).astype(like.dtype)
        array = given._data if isinstance(given, Tensor) else np.asarray(given)
        return np.broadcast_to(array, like.shape).astype(like.dtype)

    def _derivative(self, pulled: tuple[Any, bool] | None, like: Any) -> Any:
        """A derivative as the caller gets it: of the kind of `like`, with memory of its own."""
        if pulled is None:
            zeros = np.zeros(like.shape, like.dtype)
            pulled = (Tensor._of(zeros) if self._inside else zeros), True
        derivative, owned = pulled
        if self._inside:
            return derivative
        return _concrete(derivative, like, owned)

    def _outer(self, leaf: Any) -> Any:
        """A result as the caller gets it: its own array (or a view of it) for an argument."""
        if not isinstance(leaf, Tensor):
            return leaf
        root, chain = view_chain(leaf)
        owner = next((o for o in self._operands if o.inner is root), None)
        if owner is not None and isinstance(owner.outer, Tensor | np.ndarray):
            return seen_through(owner.outer, chain)
        return leaf if self._inside else _concrete(leaf._data, leaf, False)


def _type_of(leaf: Any) -> TensorType | None:
    if isinstance(leaf, Tensor):
        return leaf.type
    if isinstance(leaf, np.ndarray | np.generic | float | int):
        array = np.asarray(leaf)
        return TensorType(array.dtype, array.shape)
    return None


def _leaf_like(tensor: Tensor) -> Tensor:
    """A leaf of zeros that requires gradients."""
    made: Tensor = Tensor._of(np.zeros(tensor.shape, tensor.dtype))
    made._wants = True
    return made


def _concrete(data: Any, like: Tensor, owned: bool) -> Any:
    """An array that nothing else holds, or a NumPy scalar, as `like` has."""
    if not isinstance(like._data, np.ndarray):
        return data if data.__class__ is float else np.asarray(data)[()]
    return data if owned and isinstance(data, np.ndarray) else np.array(data)


def _require_forward_mode(node: Node) -> None:
    if not node.forward_mode:
        raise DifferentiationError(
            "forward mode needs the derivative of every operation between input and output",
            given=f"{node.name} with a custom_vjp, which defines reverse mode only",
            hint="use grad, vjp or jacobian (reverse mode), or drop the custom_vjp",
            loc=node.location,
        )
