"""The workloads, one file each, in the table `WORKLOADS`."""

from __future__ import annotations

from collections.abc import Mapping

from .classifier import CLASSIFIER
from .dense_net import DENSE_NET
from .kinds import SGD, Adam, Product, Training, Workload, by_name
from .lenet import LENET
from .neuron import NEURON
from .pointwise import POINTWISE
from .products import PRODUCTS
from .small_nets import SMALL_NETS
from .transformer import TRANSFORMER
from .two_layer_net import TWO_LAYER_NET

__all__ = ["SGD", "WORKLOADS", "Adam", "Product", "Training", "Workload"]

WORKLOADS: Mapping[str, Workload] = by_name(
    [
        TWO_LAYER_NET,
        DENSE_NET,
        NEURON,
        CLASSIFIER,
        TRANSFORMER,
        POINTWISE,
        LENET,
        *SMALL_NETS,
        *PRODUCTS,
    ]
)
