"""Transformations: functions of functions. They nest in any order, inside and outside `compile`.

Inside a trace a transformation records the function (`Trace.record`) and asks for derivatives;
what that means is up to the trace: a node of the graph that the compiler differentiates, or, in
`f.dynamic`, a tape. Outside of all traces a transformed function compiles itself on first use.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper
from typing import Any

import numpy as np

from .arguments import Argnums, arguments_of, select
from .compiled import CompiledFunction
from .compiler.trace.array import TracedArray, with_kind
from .compiler.trace.context import current_trace, require_trace
from .compiler.trace.lift import lift
from .compiler.trace.record import fit
from .dynamic import DynamicTrace
from .ir.errors import ArgumentError, DifferentiationError, ShapeError
from .ir.pytree import TreeDef, flatten, map_leaves
from .ir.types import FLOAT64, TensorType, is_float
from .parameters import function_name
from .tensor import Tensor

Function = Callable[..., Any]
Apply = Callable[..., Any]
"""`apply(fn, args, kwargs, *options)`: what a transformation does inside a trace."""

_LIFTED = (TracedArray, np.ndarray, np.generic, float, int)

_MADE = "__tapeless_transformed__"
"""Attribute of a user's function that keeps its transformed versions, with what they compiled."""


class Transformed:
    """A transformed function, callable like the function itself."""

    __name__: str

    def __init__(
        self, fn: Function, apply: Apply, options: tuple[Any, ...], *, concrete: bool
    ) -> None:
        """With `concrete`, `apply` copes with NumPy's own arrays outside of recordings."""
        update_wrapper(self, fn, updated=())
        self.__name__ = function_name(fn)
        if apply in _SIGNATURES:
            self.__signature__ = _SIGNATURES[apply]
        self._fn = fn
        self._apply = apply
        self._options = options
        self._concrete = concrete
        self._compiled: CompiledFunction | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        trace = current_trace()
        if trace is None:
            return self._compile()(*args, **kwargs)
        if not isinstance(trace, DynamicTrace):
            return self._run(args, kwargs)
        if not trace.recording and not self._concrete:
            return trace.record(partial(self._inside, trace), (args, kwargs), wrt=()).out
        return self._inside(trace, args, kwargs)

    def _inside(self, trace: DynamicTrace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run define-by-run."""
        return trace.outward(self._run(args, kwargs))

    def _run(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self._apply(self._fn, args, kwargs, *self._options)

    def _compile(self) -> CompiledFunction:
        if self._compiled is None:
            self._compiled = CompiledFunction(self, static=_static_of(self._fn))
        return self._compiled

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self._compile().__get__(instance, owner)

    def __reduce__(self) -> str:
        """Copied as functions are: it is the same object."""
        return str(getattr(self._fn, "__qualname__", self.__name__))

    @property
    def static(self) -> frozenset[str]:
        """Names of the arguments that are compile-time values."""
        return frozenset(_static_of(self._fn))


def _static_of(fn: Function) -> tuple[str, ...]:
    return tuple(fn.static) if isinstance(fn, CompiledFunction | Transformed) else ()


def transformed(fn: Function, apply: Apply, *options: Any, concrete: bool = False) -> Function:
    """`fn` transformed by `apply(fn, args, kwargs, *options)`.

    The same transformation of the same function is the same object, so that `tl.grad(f)(x)` in a
    loop compiles once. It lives as long as the function.
    """
    require_function(fn)
    made = Transformed(fn, apply, options, concrete=concrete)
    if not isinstance(fn, types.FunctionType | CompiledFunction | Transformed):
        return made
    try:
        found: Function = vars(fn).setdefault(_MADE, {}).setdefault((apply, *options), made)
    except TypeError:  # options that are not hashable
        return made
    return found


def require_function(fn: Any) -> None:
    """Raise `ArgumentError` unless `fn` can be called."""
    if not callable(fn):
        raise ArgumentError(
            "a transformation takes a function",
            given=f"{type(fn).__name__} {fn!r:.60}",
            hint="write tl.grad(f)(x), not tl.grad(f(x))",
        )


class Observed:
    """A function that remembers the structure and the types of its last result.

    Recording does not tell them without emitting the function's operations.
    """

    __name__: str

    def __init__(self, fn: Function, check: Callable[[Any], None] | None = None) -> None:
        update_wrapper(self, fn, updated=())
        self.__name__ = function_name(fn)
        self._fn = fn
        self._check = check
        self.tree: TreeDef
        self.types: list[TensorType | None]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        out = self._fn(*args, **kwargs)
        if self._check is not None:
            self._check(out)
        leaves, self.tree = flatten(out)
        self.types = [getattr(as_traced(leaf), "type", None) for leaf in leaves]
        return out


def as_traced(leaf: Any) -> Any:
    """Numbers and arrays as traced arrays, other objects as they are."""
    return lift(leaf) if isinstance(leaf, _LIFTED) else leaf


def require_floats(
    leaves: Sequence[Any], chosen: Sequence[int], paths: Sequence[str], what: str
) -> None:
    """Raise `DifferentiationError`, naming the leaf, for one without derivatives."""
    for index, path in zip(chosen, paths, strict=True):
        leaf = leaves[index]
        dtype = getattr(leaf, "dtype", FLOAT64 if isinstance(leaf, float) else None)
        if dtype is None or not is_float(dtype):
            given = f"{type(leaf).__name__} {leaf!r:.40}" if dtype is None else f"dtype {dtype}"
            raise DifferentiationError(
                f"{what} is with respect to floating-point arguments",
                given=f"{path}: {given}",
                hint="pass floats (2.0 instead of 2, x.astype(np.float64)), or choose others with "
                "argnums",
            )


def grad(fn: Function, argnums: Argnums = 0) -> Function:
    """The gradient of a scalar function with respect to the arguments `argnums`.

    `argnums` is a position, a name, or a tuple of these. The gradient has the structure, dtypes and
    shapes of the argument (a tuple of such for a tuple). Raises `DifferentiationError` for results
    that are no floating-point scalar and for arguments that are not floating-point.
    """
    return transformed(fn, _apply_grad, argnums, concrete=True)


def value_and_grad(fn: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Like `grad`, giving `(value, gradient)`.

    With `has_aux`, `fn` returns `(value, aux)` and the result is `((value, aux), gradient)`; `aux`
    is any pytree and is not differentiated.
    """
    return transformed(fn, _apply_value_and_grad, argnums, has_aux, concrete=True)


def _apply_grad(
    fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any], argnums: Argnums
) -> Any:
    return _apply_value_and_grad(fn, args, kwargs, argnums, False)[1]


def _apply_value_and_grad(
    fn: Function,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    argnums: Argnums,
    has_aux: bool,
) -> tuple[Any, Any]:
    selection = select(fn, argnums, args, kwargs)
    name = function_name(fn)
    observed = Observed(fn, lambda out: _require_scalar(out, name, has_aux))
    leaves = flatten((args, kwargs))[0]
    require_floats(leaves, selection.leaves, selection.paths(), "a gradient")
    recorded = require_trace().record(observed, args, kwargs, selection.leaves)
    cotangents: list[Any] = [1.0] + [None] * (len(observed.types) - 1)
    gradients = recorded.vjp(cotangents, selection.leaves)
    return recorded.out, selection.unflatten(gradients)


def _require_scalar(out: Any, name: str, has_aux: bool) -> None:
    if has_aux and not (isinstance(out, tuple) and len(out) == 2):
        raise ArgumentError(
            f"with has_aux, {name} returns (value, aux)", given=f"{type(out).__name__} {out!r:.60}"
        )
    value = as_traced(out[0] if has_aux else out)
    found = getattr(value, "type", None)
    if not isinstance(found, TensorType):
        given = f"{type(value).__name__} {value!r:.60}"
    elif found.shape != () or not is_float(found.dtype):
        given = f"{found}"
    else:
        return
    raise DifferentiationError(
        f"a gradient is of a floating-point scalar, and so {name} must return one",
        given=given,
        hint="reduce the result with np.sum or np.mean, use has_aux=True for further results, or "
        "tl.jacobian",
    )


def vjp(fn: Function, *primals: Any) -> tuple[Any, Function]:
    """`(out, pullback)`: the result of `fn(*primals)` and its derivative in reverse mode.

    `pullback(cotangent)` takes a pytree like `out` and gives a tuple with the cotangent of every
    primal. Raises `DifferentiationError` for primals that are not floating-point.
    """
    require_function(fn)
    trace = current_trace()
    if trace is None:
        return _vjp_outside(fn, primals)
    observed = Observed(fn)
    structure = _require_float_primals(fn, primals, "a cotangent")
    recorded = trace.record(observed, primals)
    everything = range(structure.num_leaves)
    out, kept = recorded.out, map_leaves(_frozen, tuple(primals))

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        """The cotangents of the primals."""
        if current_trace() is not trace:  # mapped or transformed in turn: record it there
            return _apply_pull(fn, (kept, cotangent), {})
        leaves = matching_leaves(cotangent, observed.tree, observed.types, "the cotangent", "out")
        found: tuple[Any, ...] = structure.unflatten(recorded.vjp(leaves, everything))
        return found

    return out, pullback


def _require_float_primals(fn: Function, primals: tuple[Any, ...], what: str) -> TreeDef:
    """The structure of the primals, all leaves of which must be floating-point."""
    leaves, structure = flatten(primals)
    paths = [path for argument in arguments_of(fn, primals, {})[0] for path in argument.paths()]
    require_floats(leaves, range(len(leaves)), paths, what)
    return structure


def _vjp_outside(fn: Function, primals: tuple[Any, ...]) -> tuple[Any, Function]:
    _require_float_primals(fn, primals, "a cotangent")
    kept = map_leaves(_frozen, primals)
    out = transformed(fn, _apply_plainly)(*primals)
    pull = transformed(fn, _apply_pull)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        """The cotangents of the primals, as they were when `vjp` was called."""
        found: tuple[Any, ...] = pull(kept, cotangent)
        return found

    return out, pullback


def _frozen(leaf: Any) -> Any:
    """The leaf as it is now, whatever is done to it later."""
    if isinstance(leaf, TracedArray):
        return with_kind(leaf, leaf.kind)
    return leaf.copy() if isinstance(leaf, np.ndarray | Tensor) else leaf


def _apply_plainly(fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return fn(*args, **kwargs)


def _apply_pull(fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    primals, cotangent = args
    found: tuple[Any, ...] = vjp(fn, *primals)[1](cotangent)
    return found


def jvp(fn: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`(out, tangent)`: the result of `fn(*primals)` and its derivative along `tangents`.

    `tangents` is a tuple like `primals`. The tangent has the structure of `out`; its leaves that
    are not floating-point are zero. Raises `DifferentiationError` for primals that are not
    floating-point, `ArgumentError` and `ShapeError` for tangents that are not like the primals.
    """
    require_function(fn)
    if current_trace() is None:
        found: tuple[Any, Any] = transformed(fn, _apply_push)(tuple(primals), tuple(tangents))
        return found
    observed = Observed(fn)
    structure = _require_float_primals(fn, tuple(primals), "a derivative")
    recorded = require_trace().record(observed, tuple(primals))
    types = [leaf.type for leaf in recorded.in_leaves]
    seeds = matching_leaves(tuple(tangents), structure, types, "tangents", "primals")
    moved = recorded.jvp(dict(enumerate(seeds)))
    leaves = [
        type and zeros(type) if tangent is None else tangent
        for tangent, type in zip(moved, observed.types, strict=True)
    ]
    return recorded.out, observed.tree.unflatten(leaves)


def _apply_push(fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
    return jvp(fn, *args)


_SIGNATURES = {
    _apply_pull: inspect.signature(lambda primals, cotangent: None),
    _apply_push: inspect.signature(lambda primals, tangents: None),
}
"""Parameters of what is called otherwise than the function that it is made from."""


def zeros(type: TensorType) -> Any:
    """A zero of the given type, as arrays are in the current trace."""
    trace = current_trace()
    if isinstance(trace, DynamicTrace):
        return np.zeros(type.shape, type.dtype)[()]
    return fit(lift(0.0), type)


def matching_leaves(
    tree: Any, structure: TreeDef, types: Sequence[TensorType | None], what: str, like: str
) -> list[Any]:
    """The leaves of a cotangent or tangent; None for those that belong to no float.

    Raises `ArgumentError` for another structure, `ShapeError` for a leaf of another shape.
    """
    leaves, given = flatten(tree)
    if given != structure:
        raise ArgumentError(
            f"{what} is structured like {like}: {_sketch(structure)}", given=_sketch(given)
        )
    found: list[Any] = []
    for leaf, type, path in zip(leaves, types, structure.paths(), strict=True):
        if type is None or not is_float(type.dtype):
            found.append(None)
            continue
        traced = as_traced(leaf)
        if not hasattr(traced, "type"):
            traced = lift(leaf)
        if traced.shape != type.shape:
            raise ShapeError(
                f"{what}{path} has the shape of {like}{path}, {type.shape}",
                given=str(traced.shape),
            )
        found.append(leaf)
    return found


def _sketch(structure: TreeDef) -> str:
    return str(structure.unflatten(["·"] * structure.num_leaves))
