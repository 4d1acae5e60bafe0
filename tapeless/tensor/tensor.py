"""`Tensor`: a NumPy array that remembers how it was computed."""

from __future__ import annotations

import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..drawing.drawing import Drawing
from ..ir.errors import DifferentiationError, DTypeError, UnsupportedError
from ..ir.types import DTYPE_NAMES, FLOAT64, DType, Shape, TensorType
from .apply import apply, refresh, require_values
from .backward import backward
from .base import Array, Memory
from .calls import CALLS, CallInfo
from .indexing import getitem, setitem
from .lines import stores_item
from .methods import Methods
from .modes import MODE
from .node import Node
from .numpy_protocol import apply_numpy_function, apply_numpy_ufunc
from .outputs import no_history
from .picture import draw_tensor


class Tensor(Methods):
    """An array whose operations are recorded while they run, so that `backward` can follow them.

    `data` is array-like and copied; `dtype` as for `np.array`. Operators, the methods of arrays and
    NumPy's functions work as on arrays and give tensors; plain arrays and numbers mix in as
    constants. (An array that a derivative reads is copied, since it may change unseen; data that
    is used again and again is best made a tensor.)

    A tensor with `requires_grad` is a leaf of the graph and collects its gradient in `.grad`.
    Raises `DTypeError` for elements that are not booleans, integers, float32 or float64, and for a
    leaf that is not of floating type.
    """

    __slots__ = ()
    __array_priority__ = 2000.0

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        source = data._data if isinstance(data, Tensor) else data
        array = np.array(source, dtype, order="C")
        native = array.dtype.newbyteorder("=")
        if native not in DTYPE_NAMES.values():
            raise DTypeError(
                "the elements of a tensor are booleans, integers, float32 or float64",
                given=f"dtype {array.dtype}",
                hint="pass dtype=, for example tl.Tensor(x, np.float64)",
            )
        self._data = array.astype(native, copy=False)
        self._kind = 0
        self._memory = Memory()
        self._node = None
        self._slot = 0
        self._wants = False
        self._view = None
        self._grad = None
        if requires_grad:
            self.requires_grad_()

    # -- the array ------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        """Extents of the axes."""
        data = self._data
        shape: Shape = () if data.__class__ is float else data.shape
        return shape

    @property
    def dtype(self) -> DType:
        """Element type, a `numpy.dtype`."""
        data = self._data
        dtype: DType = FLOAT64 if data.__class__ is float else data.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self._data.size)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(self._data.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self._data.nbytes)

    @property
    def type(self) -> TensorType:
        """Element type and shape as the compiler writes them."""
        return TensorType(self.dtype, self.shape)

    @property
    def T(self) -> Any:
        """The view with the axes reversed."""
        return self.transpose()

    @property
    def mT(self) -> Any:
        """The view with the last two axes swapped."""
        return np.matrix_transpose(self)

    @property
    def real(self) -> Any:
        """The tensor itself: elements are real."""
        return self

    @property
    def data(self) -> Any:
        """The same memory outside the graph, like `detach()`."""
        return self.detach()

    def numpy(self) -> Any:
        """A read-only view of the values; a NumPy scalar where NumPy gives one."""
        require_values(type(self))
        if not isinstance(self._data, np.ndarray):
            return self._data
        view = self._data.view()
        view.flags.writeable = False
        return view

    def item(self, *args: Any) -> Any:
        """The only element (or the one at a position) as a Python number."""
        require_values(type(self))
        return self._data.item(*args)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise DifferentiationError(
                "a function outside NumPy's protocols takes arrays, and would lose the gradient",
                given=self.describe(),
                hint="pass x.numpy() or x.detach() if no gradient is needed",
            )
        return np.array(self._data, dtype, copy=True) if copy else np.asarray(self.numpy(), dtype)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Any]:
        return (getitem(self, index) for index in range(len(self._data)))

    def __contains__(self, item: Any) -> bool:
        return (item._data if isinstance(item, Tensor) else item) in self._data

    def __getitem__(self, key: Any) -> Any:
        return getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        setitem(self, key, value)

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __float__(self) -> float:
        if self.requires_grad and MODE.grad and stores_item(sys._getframe(1)):
            raise no_history(f"a number, stored in a numpy.ndarray from {self.describe()}")
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __index__(self) -> int:
        index: int = self.numpy().__index__()
        return index

    # -- the graph ------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        if self._view is not None:
            refresh(self)
        return self._wants

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation computed this tensor."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that computed this tensor; None for a leaf."""
        if self._view is not None:
            refresh(self)
        node: Node | None = self._node
        return node

    @property
    def grad(self) -> Any:
        """The gradients collected so far, a tensor, or None.

        Warns for a tensor that was computed and does not retain its gradient: it has none.
        """
        if self._grad is None and self.grad_fn is not None and not self._retains():
            warnings.warn(
                "the gradient of a computed tensor is not kept: call x.retain_grad() before "
                f"backward(), or ask a leaf ({self.describe()})",
                UserWarning,
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None and not isinstance(value, Tensor):
            value = Tensor(value, self.dtype)
        if value is not None and value.shape != self.shape:
            raise DifferentiationError(
                f"a gradient has the shape of its tensor, {self.shape}", given=str(value.shape)
            )
        self._grad = value

    def requires_grad_(self, flag: bool = True) -> Tensor:
        """Make this leaf require gradients, or not; returns the tensor itself."""
        if flag and self._data.dtype.kind != "f":
            raise DTypeError(
                "tensors that require gradients are float32 or float64",
                given=self.describe(),
                hint="tl.Tensor(x, np.float64, requires_grad=True)",
            )
        if not flag and self._node is not None:
            raise DifferentiationError(
                "requires_grad is switched off for leaves",
                given=self.describe(),
                hint="use x.detach() for the values without history",
            )
        self._wants = bool(flag) or self._node is not None
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor in `.grad`, as for a leaf."""
        if not self.requires_grad:
            raise DifferentiationError(
                "a gradient is retained for a tensor that requires one", given=self.describe()
            )
        if self._node is not None and not self._retains():
            kept = self._node.retained or []
            self._node.retained = [*kept, (self._slot, weakref.ref(self))]

    def _retains(self) -> bool:
        retained = self._node.retained if self._node is not None else None
        return any(reference() is self for _, reference in retained or ())

    def detach(self) -> Any:
        """A tensor on the same memory, outside the graph."""
        return self._of(self._data, self._memory)

    def zero_grad(self) -> None:
        """Forget the gradients collected so far."""
        self._grad = None

    def backward(
        self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf that it depends on.

        `gradient` is the cotangent to start from (1 for a scalar). The graph is freed unless
        `retain_graph`; with `create_graph` the gradients can be differentiated again. Raises
        `DifferentiationError` without a graph, on a graph that is freed, on a non-scalar without
        `gradient`, and for values that were overwritten; `ShapeError` for a gradient that does
        not fit.
        """
        if self._view is not None:
            refresh(self)
        backward(self, gradient, retain_graph=retain_graph, create_graph=create_graph)

    def draw(
        self, *, values: bool = True, direction: str | None = None, **names: Tensor
    ) -> Drawing:
        """The recorded graph that computed this tensor, as a picture; see `tl.draw`.

        With `values`, wires have their values and, if this is a scalar, their gradients, as far as
        the graph keeps them: it does until `backward` frees it. `names` are tensors by name:
        `loss.draw(w=w, x=x)`; the values of these are always known. A constant operand that the
        graph does not keep is written `c`.
        """
        if self._view is not None:
            refresh(self)
        return draw_tensor(self, names, values, direction)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        raise UnsupportedError(
            "tl.Tensor has no subclasses",
            given=f"class {cls.__name__}",
            hint="keep a tensor in an attribute of a class of your own",
        )

    @staticmethod
    def cache_info() -> CallInfo:
        """How many calls are known with their derivatives; see `CallInfo`."""
        return CALLS.info()

    # -- NumPy's protocols ----------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if len(inputs) == 1 and method == "__call__" and not kwargs:  # before all else, for speed
            return apply(self.__class__, ufunc, inputs)
        return apply_numpy_ufunc(type(self), ufunc, method, inputs, kwargs)

    def __array_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        return apply_numpy_function(type(self), func, args, kwargs)

    # -- copies and text --------------------------------------------------------------------------

    def __reduce__(self) -> Any:
        """Pickled as a leaf; raises for a computed tensor, whose history stays in its process."""
        if not self.is_leaf:
            raise DifferentiationError(
                "a tensor is pickled without history", given=self.describe(), hint="x.detach()"
            )
        return type(self), (np.asarray(self._data), None, self._wants)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if not self.is_leaf:
            return self.copy()
        return type(self)(self._data, requires_grad=self._wants)

    def describe(self) -> str:
        """What error messages call this tensor."""
        return f"a tensor of type {self.type}"

    def __repr__(self) -> str:
        body = np.array2string(np.asarray(self._data), separator=", ", prefix="Tensor(")
        plain = self.dtype in (np.float64, np.int64, np.bool_)
        kind = "" if plain else f", dtype={self.dtype}"
        history = ""
        if self._node is not None:
            history = f", grad_fn={self._node.name}"
        elif self._wants:
            history = ", requires_grad=True"
        return f"Tensor({body}{kind}{history})"

    def __format__(self, spec: str) -> str:
        return format(self._data.item() if spec and self.ndim == 0 else str(self), spec)
