"""Whether operations are recorded: the grad mode of each thread, and `no_grad`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .stand_ins import StandIns

F = TypeVar("F", bound=Callable[..., Any])


class Mode(threading.local):
    """The state of one thread. `grad`: operations on tensors that require gradients are recorded.

    `preserve`: an in-place update goes to new memory, so that nothing recorded is overwritten
    (`f.dynamic`, which has the semantics of the compiled function); then `stand_ins` knows which
    tensors stand for plain arrays.
    """

    grad: bool = True
    preserve: bool = False
    stand_ins: StandIns | None = None


MODE = Mode()
"""The mode of the running thread."""


class grad_mode:
    """Inside the `with` block, or in the decorated function, recording is on or off."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(MODE.grad)
        MODE.grad = self._enabled

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        MODE.grad = self._before.pop()

    def __call__(self, fn: F) -> F:
        """The function, always run in this mode."""
        enabled = self._enabled

        @wraps(fn)
        def run(*args: Any, **kwargs: Any) -> Any:
            with grad_mode(enabled):
                return fn(*args, **kwargs)

        return run  # type: ignore[return-value]


class no_grad(grad_mode):
    """Inside the `with` block, or in the decorated function, nothing is recorded.

    `with tl.no_grad(): w -= 0.1 * w.grad` updates a leaf in place; `@tl.no_grad` and
    `@tl.no_grad()` decorate a function. Results of operations do not require gradients there.
    """

    def __new__(cls, fn: Any = None) -> Any:
        """`no_grad()` is a context; `no_grad(fn)` decorates `fn`."""
        return super().__new__(cls) if fn is None else grad_mode(False)(fn)

    def __init__(self, fn: Any = None) -> None:
        super().__init__(False)
