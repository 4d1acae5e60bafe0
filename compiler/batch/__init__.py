"""Batching: a graph for one example turned into a graph for many at once.

`rules.py` has one row per op, `transform.py` walks a graph with them. Called by the differentiate
stage to expand `vmap` nodes; depends on `ir` only.
"""

from .transform import batch

__all__ = ["batch"]
