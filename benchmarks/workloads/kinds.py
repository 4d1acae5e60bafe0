"""What a workload is: data, the same step written for each peer, and how much work it is at least.

Functions that compute with a peer's arrays take the peer's module as their first argument (`np`,
`jax`, `torch`): this file and its neighbours import NumPy only, and each process just one peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]
"""Parameters or gradients by name."""

SEED = 20240229


@dataclass(frozen=True)
class SGD:
    """p -= rate g"""

    rate: float
    state_arrays = 0


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015) with the usual beta1 = 0.9, beta2 = 0.999, eps = 1e-8."""

    rate: float
    state_arrays = 2


@dataclass(frozen=True, kw_only=True)
class Training:
    """A step: the loss and its gradient by all parameters, which `optimizer` then updates.

    Without an optimizer the step returns loss and gradient. `make(rng)` gives the parameters, a
    dict of arrays, and the batch, a tuple of arrays. `loss(np, params, *batch)` is what a user of
    tapeless writes, `jax_loss(jax, …)` and `torch_loss(torch, …)` the same for those, and
    `numpy_gradients(params, *batch)` the loss and the gradients derived by hand. `flops` counts the
    additions and multiplications that cannot be avoided. `needs` names parts of tapeless.
    """

    name: str
    title: str
    dtype: str
    make: Callable[[np.random.Generator], tuple[Arrays, tuple[Any, ...]]]
    loss: Callable[..., Any]
    jax_loss: Callable[..., Any]
    torch_loss: Callable[..., Any]
    numpy_gradients: Callable[..., tuple[Any, Arrays]]
    optimizer: SGD | Adam | None
    flops: float
    needs: tuple[str, ...] = ()
    peers: tuple[str, ...] = ("numpy", "jax", "torch", "torch.compile")
    single_thread: bool = False

    def example(self) -> tuple[Arrays, tuple[Any, ...]]:
        """The same parameters and batch in every process."""
        return self.make(np.random.default_rng(SEED))

    @property
    def bytes(self) -> int:
        """Compulsory traffic: parameters, state and batch read once, what changes written once."""
        params, batch = self.example()
        size = sum(p.nbytes for p in params.values())
        read_only = sum(array.nbytes for array in batch)
        if self.optimizer is None:  # gradients are written, parameters are not
            return 2 * size + read_only
        return 2 * size * (1 + self.optimizer.state_arrays) + read_only


@dataclass(frozen=True, kw_only=True)
class Product:
    """c = a b for row-major a (m, k) and b (k, n), written to an existing c, in one thread."""

    name: str
    m: int
    k: int
    n: int
    dtype: str = "float32"
    needs: tuple[str, ...] = ()
    peers: tuple[str, ...] = ("numpy", "jax", "torch")
    single_thread: bool = True

    @property
    def title(self) -> str:
        """The extents, m × k × n."""
        return f"product {self.m}x{self.k}x{self.n}"

    @property
    def flops(self) -> float:
        """A multiplication and an addition for each of the m k n terms."""
        return 2.0 * self.m * self.k * self.n

    @property
    def bytes(self) -> int:
        """Both operands read, the result written, once."""
        elements = self.m * self.k + self.k * self.n + self.m * self.n
        return elements * np.dtype(self.dtype).itemsize

    def example(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The same operands in every process."""
        rng = np.random.default_rng(SEED)
        return normal(rng, (self.m, self.k), self.dtype), normal(rng, (self.k, self.n), self.dtype)


Workload = Training | Product


def normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "float32", scale: float = 1.0
) -> np.ndarray[Any, Any]:
    """Normally distributed numbers, drawn in float64 and rounded."""
    return (scale * rng.standard_normal(shape)).astype(dtype)


def weights(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "float32"
) -> np.ndarray[Any, Any]:
    """Weights after He et al. (2015): all axes but the last are inputs."""
    return normal(rng, shape, dtype, np.sqrt(2 / prod(shape[:-1])))


def by_name(workloads: list[Workload]) -> Mapping[str, Workload]:
    """The workloads as a table."""
    return {workload.name: workload for workload in workloads}
