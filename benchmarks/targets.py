"""What tapeless is to reach on each workload, and what it must not fall below.

A `Bound` compares its step time with that of a peer, with the limit of the machine, or with a
number of seconds. `check.py` fails below the floors: speed relative to the other side, measured
with a margin for noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from peers import LIMIT
from workloads import WORKLOADS

SECONDS = "seconds"


@dataclass(frozen=True)
class Bound:
    """tapeless takes at most `factor` times what `other` takes: a peer, LIMIT, or SECONDS."""

    other: str
    factor: float

    def __str__(self) -> str:
        if self.other == SECONDS:
            return f"≤ {1e6 * self.factor:g} µs"
        return f"≤ {self.factor:.3g} × {self.other}"


def _small_nets() -> dict[str, tuple[Bound, ...]]:
    bounds = Bound("numpy", 0.3), Bound("jax", 0.3)
    return {name: bounds for name in WORKLOADS if name.startswith("small_net_")}


def _products() -> dict[str, tuple[Bound, ...]]:
    """Never slower than NumPy's BLAS; 85 % of the peak from 256³ up, 75 % for thin shapes."""
    efficiency = {name: 0.75 for name in WORKLOADS if name.startswith("product_")}
    efficiency |= {f"product_{n}x{n}x{n}": 0.85 for n in (256, 512, 1024, 2048)}
    table = {n: (Bound("numpy", 1.0), Bound(LIMIT, 1 / e)) for n, e in efficiency.items()}
    return table | {"product_128x128x128": (Bound("numpy", 1.0),)}


TARGETS: Mapping[str, tuple[Bound, ...]] = {
    "two_layer_net": (Bound("jax", 0.5),),
    "dense_net": (Bound("jax", 0.5),),
    "neuron": (Bound("jax", 0.1), Bound(SECONDS, 0.6e-6)),
    "classifier": (Bound("jax", 0.67),),
    "transformer": (Bound("jax", 0.5), Bound("torch", 0.5)),
    "pointwise": (Bound("torch.compile", 0.5), Bound("jax", 0.2)),
    "lenet": (Bound("torch", 0.5), Bound("jax", 0.5)),
    **_small_nets(),
    **_products(),
}
