"""`TracedArray`: what user code sees in place of an array while its function is traced.

A traced array is a *lens* on storage. A base array owns the current handle and a version that
counts its updates. A view (basic index, transpose, reshape, …) knows its parent, a reader that
makes its handle from the parent's and a writer that puts a new value back; it re-reads itself when
the base has moved on. So an in-place update through any view is seen by all others, as in NumPy,
although handles never change.

The NumPy surface (which functions and methods exist, indexing) is supplied by `ufuncs`,
`functions` and `indexing`, which are built on this module; `install` connects them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...ir.errors import TraceError, UnsupportedError
from ...ir.types import DType, Shape, TensorType
from .context import Trace, activate, leaked
from .kinds import WEAK_DTYPES, Kind
from .operators import binary, is_in_place_operator, unary
from .refusals import Refusals
from .surface import SURFACE, Surface

Handle: TypeAlias = Any
"""A graph's `Value` or a tensor: anything with a `.type`."""

Concrete: TypeAlias = np.ndarray[Any, Any]
Reader: TypeAlias = Callable[[Handle], Handle]
Writer: TypeAlias = Callable[[Handle, Handle], Handle]
Recipe: TypeAlias = Callable[[Concrete], Concrete]


@dataclass(frozen=True, slots=True)
class Lens:
    """How a view depends on its parent.

    `reader(parent_handle)` gives the view's handle, `writer(parent_handle, new)` the parent's new
    handle (None: NumPy's view is read-only). `recipe(array)` makes the same view of a concrete
    array; with `repeatable` False it depends on values of the running program and only has the
    right shape and strides. With `sure` False it depends on memory layout whether NumPy makes a
    view or a copy.
    """

    parent: TracedArray
    reader: Reader
    writer: Writer | None
    recipe: Recipe
    sure: bool = True
    repeatable: bool = True


class TracedArray(Refusals):
    """A value of the program under construction; behaves as the `numpy.ndarray` it stands for.

    `kind` says which type NumPy would give: an array, a NumPy scalar or a Python number. A number
    known while tracing keeps it in `literal`, and becomes a constant only when it is used.
    """

    __slots__ = (
        "__weakref__",
        "_contiguous",
        "_deferred",
        "_handle",
        "_seen",
        "home",
        "kind",
        "lens",
        "literal",
        "origin",
        "shadows",
        "type",
        "version",
    )
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        trace: Trace,
        handle: Handle,
        kind: Kind = Kind.ARRAY,
        *,
        origin: str = "",
        contiguous: bool = False,
    ) -> None:
        self.home = trace
        self.type: TensorType = handle.type
        self.kind = kind
        self.literal: float | None = None
        self.origin = origin
        self.shadows = False  # a NumPy array stays as it is when this one is updated
        self.lens: Lens | None = None
        self.version = 0
        self._handle: Handle = handle
        self._deferred: Callable[[], Handle] | None = None
        self._seen = 0
        self._contiguous = contiguous

    @classmethod
    def deferred(
        cls,
        trace: Trace,
        type: TensorType,
        make: Callable[[], Handle],
        kind: Kind = Kind.ARRAY,
        *,
        origin: str = "",
        contiguous: bool = True,
    ) -> TracedArray:
        """A base array whose handle is made when it is first used."""
        array = cls.__new__(cls)
        array.home, array.type, array.kind = trace, type, kind
        array.literal, array.lens, array.version = None, None, 0
        array.origin, array.shadows, array._contiguous = origin, False, contiguous
        array._handle, array._seen, array._deferred = None, 0, make
        return array

    @classmethod
    def of_literal(cls, trace: Trace, number: float, kind: Kind) -> TracedArray:
        """A weak Python number that is known while tracing."""
        dtype = WEAK_DTYPES[kind]
        array = cls.deferred(
            trace,
            TensorType(dtype),
            lambda: trace.constant(np.array(number, dtype)),
            kind,
            origin="a Python number",
        )
        array.literal = number
        return array

    # -- storage --------------------------------------------------------------------------------

    @property
    def base(self) -> TracedArray:
        """The array that owns the storage: itself unless this is a view.

        Differs from NumPy's `.base`, which user code has no business with.
        """
        array = self
        while array.lens is not None:
            array = array.lens.parent
        return array

    @property
    def value(self) -> Handle:
        """The current handle, of type `.type`."""
        if self.home.finished:
            raise leaked()
        if self.lens is not None:
            self._refresh(self.lens)
        elif self._deferred is not None:
            make, self._deferred = self._deferred, None
            with activate(self.home):
                self._handle = make()
        return self._handle

    def _refresh(self, lens: Lens) -> None:
        version = self.base.version
        if self._seen == version:
            return
        if not lens.sure:
            raise _view_or_copy("the array it was made from has been updated since")
        with activate(self.home):
            self._handle = lens.reader(lens.parent.value)
        self._seen = version

    def write(self, handle: Handle) -> None:
        """Replace the whole value in place; `handle` has the same type.

        Raises `TraceError` through a read-only view and `UnsupportedError` through a reshape
        that NumPy may have copied.
        """
        if self.home.finished:
            raise leaked()
        assert handle.type == self.type, "conversion and broadcasting come before"
        if self.lens is None:
            self.value  # noqa: B018 - an input must exist before it is updated
            if self.shadows and not self.home.rebinding:
                raise _not_traced(self)
            self.shadows = False
            self._handle, self.literal = handle, None
            self.version += 1
            self.home.wrote(self)
            return
        self._write_through(self.lens, handle)

    def _write_through(self, lens: Lens, handle: Handle) -> None:
        if not lens.sure:
            raise _view_or_copy("it is updated in place")
        if lens.writer is None:
            raise TraceError(
                "an array updated in place must be writable",
                given="a read-only view, such as that of np.broadcast_to",
                hint="copy it first: x = x.copy()",
            )
        with activate(self.home):
            lens.parent.write(lens.writer(lens.parent.value, handle))
        self._handle, self._seen = handle, self.base.version

    def make_view(
        self,
        reader: Reader,
        writer: Writer | None,
        recipe: Recipe,
        *,
        sure: bool = True,
        repeatable: bool = True,
    ) -> TracedArray:
        """A view of this array; see `Lens` for the arguments. Its kind is `ARRAY`."""
        value = self.value
        with activate(self.home):
            array = TracedArray(self.home, reader(value), origin=self.origin)
        array.lens = Lens(self, reader, writer, recipe, sure, repeatable)
        array._seen = self.base.version
        return array

    def view_like(self, lens: Lens) -> TracedArray:
        """The view of this array that `lens` makes of its own parent."""
        return self.make_view(
            lens.reader, lens.writer, lens.recipe, sure=lens.sure, repeatable=lens.repeatable
        )

    def seen(self, version: int) -> None:
        """Say which version of the base this view was made from."""
        self._seen = version

    def stand_in(self) -> tuple[Concrete, bool]:
        """An array of bytes with this shape and the strides (in elements) that NumPy would have,
        and whether these are known; made-up strides let no two axes merge. Never read it.
        """
        if self.lens is not None and self.lens.sure:
            parent, known = self.lens.parent.stand_in()
            return self.lens.recipe(parent), known
        known = self.contiguous
        return _stand_in(self.shape, known), known

    @property
    def contiguous(self) -> bool:
        """Whether NumPy's array would certainly be row-major and contiguous."""
        if self.ndim == 0 or self.size == 0:
            return True
        if self.lens is None or not self.lens.sure:
            return self._contiguous
        view, known = self.stand_in()
        return known and view.flags.c_contiguous

    # -- what NumPy's arrays know of themselves -------------------------------------------------

    @property
    def shape(self) -> Shape:
        """Extents of the axes."""
        return self.type.shape

    @shape.setter
    def shape(self, value: Any) -> None:
        raise UnsupportedError(
            "the shape of a traced array is fixed", given=f"{value}", hint="x = x.reshape(...)"
        )

    @property
    def dtype(self) -> DType:
        """Element type, a `numpy.dtype`."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.type.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.type.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(self.type.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.type.nbytes

    @property
    def T(self) -> Any:
        """The view with the axes reversed."""
        return SURFACE.apply_function(np.transpose, (self,), {})

    @property
    def mT(self) -> Any:
        """The view with the last two axes swapped."""
        return SURFACE.apply_function(np.matrix_transpose, (self,), {})

    @property
    def real(self) -> Any:
        """The array itself: elements are real."""
        return self

    def __len__(self) -> int:
        if not self.shape:
            raise TraceError("len() needs at least one axis", given=self.describe())
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TraceError("iteration needs at least one axis", given=self.describe())
        return (SURFACE.getitem(self, index) for index in range(self.shape[0]))

    def __getitem__(self, key: Any) -> Any:
        return SURFACE.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        SURFACE.setitem(self, key, value)

    # -- NumPy's protocols ----------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if "out" in kwargs and is_in_place_operator(sys._getframe(1)):
            with self.home.binding_anew():
                return SURFACE.apply_ufunc(ufunc, method, inputs, kwargs)
        return SURFACE.apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return SURFACE.apply_function(func, args, kwargs)

    # -- operators ------------------------------------------------------------------------------

    __add__, __radd__, __iadd__ = binary(np.add)
    __sub__, __rsub__, __isub__ = binary(np.subtract)
    __mul__, __rmul__, __imul__ = binary(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = binary(np.true_divide)
    __floordiv__, __rfloordiv__, __ifloordiv__ = binary(np.floor_divide)
    __mod__, __rmod__, __imod__ = binary(np.remainder)
    __pow__, __rpow__, __ipow__ = binary(np.power)
    __matmul__, __rmatmul__, __imatmul__ = binary(np.matmul)
    __and__, __rand__, __iand__ = binary(np.bitwise_and)
    __or__, __ror__, __ior__ = binary(np.bitwise_or)
    __xor__, __rxor__, __ixor__ = binary(np.bitwise_xor)
    __lshift__, __rlshift__, __ilshift__ = binary(np.left_shift)
    __rshift__, __rrshift__, __irshift__ = binary(np.right_shift)
    __lt__, _, _ = binary(np.less)
    __le__, _, _ = binary(np.less_equal)
    __gt__, _, _ = binary(np.greater)
    __ge__, _, _ = binary(np.greater_equal)
    __eq__, _, _ = binary(np.equal)
    __ne__, _, _ = binary(np.not_equal)
    __neg__ = unary(np.negative)
    __pos__ = unary(np.positive)
    __abs__ = unary(np.absolute)
    __invert__ = unary(np.invert)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __copy__(self) -> TracedArray:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> TracedArray:
        return with_kind(self, self.kind)

    def describe(self) -> str:
        """What error messages call this array."""
        return f"{self.origin or 'a result'} of type {self.type}"

    def __repr__(self) -> str:
        return f"<traced {self.kind.value} {self.type}: {self.origin or 'a result'}>"


def install(surface: Surface, methods: Mapping[str, Callable[..., Any]]) -> None:
    """Connect the NumPy surface; `methods` become methods of `TracedArray`."""
    for name in Surface.__slots__:
        setattr(SURFACE, name, getattr(surface, name))
    for name, method in methods.items():
        setattr(TracedArray, name, method)


def with_kind(array: TracedArray, kind: Kind, *, contiguous: bool | None = None) -> TracedArray:
    """A new array of another kind on the same value.

    Without `contiguous`, it is known to be row-major where `array` is: NumPy's copies keep the
    order of the axes unless they are told otherwise.
    """
    known = array.contiguous if contiguous is None else contiguous
    return TracedArray(array.home, array.value, kind, origin=array.origin, contiguous=known)


def _not_traced(array: TracedArray) -> TraceError:
    return TraceError(
        "what a traced function fills with traced values is a traced array",
        given=f"a NumPy array of type {array.type} made while tracing",
        hint="make it with np.zeros_like(x) or np.empty_like(x) of a traced x",
    )


def _view_or_copy(what: str) -> UnsupportedError:
    return UnsupportedError(
        "whether this reshape is a view or a copy depends on the memory layout of its source",
        given=f"a reshape of an array of unknown layout, and {what}",
        hint="make it a copy: x.reshape(...).copy(), or reshape np.ascontiguousarray(x)",
    )


def _stand_in(shape: Shape, contiguous: bool) -> Concrete:
    """Bytes of `shape` on one byte of memory; strides row-major, or such that no axes merge."""
    if contiguous:
        steps = [1] * len(shape)
        for axis in reversed(range(len(shape) - 1)):
            steps[axis] = steps[axis + 1] * shape[axis + 1]
    else:
        steps = [1_000_003 + 7919 * axis * axis for axis in range(len(shape))]
    return np.lib.stride_tricks.as_strided(np.empty(1, np.int8), shape, steps)


__all__ = [
    "WEAK_DTYPES",
    "Concrete",
    "Handle",
    "Kind",
    "Lens",
    "Recipe",
    "TracedArray",
    "install",
    "with_kind",
]
