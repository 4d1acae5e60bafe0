"""From a NumPy function to a typed graph.

The user's function runs once on `TracedArray`s; every NumPy operation it performs becomes a node.
`array` is what user code sees, `lift` how operands and nodes are made, `context` which trace
listens, `ufuncs`, `functions` and `indexing` the NumPy surface, `captures` what is found in
closures and globals, `function` the whole of one traced function, `record` transformed ones.
Importing this package connects the NumPy surface to `TracedArray`.
"""

from .array import install
from .functions import apply_function
from .indexing import getitem, setitem
from .methods import METHODS
from .scalars import weak_operator, weak_unary
from .surface import Surface
from .ufunc_calls import apply_ufunc

install(
    Surface(
        apply_ufunc=apply_ufunc,
        apply_function=apply_function,
        getitem=getitem,
        setitem=setitem,
        weak_operator=weak_operator,
        weak_unary=weak_unary,
    ),
    METHODS,
)
