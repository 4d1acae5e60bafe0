"""View simplification: fewer and cheaper transposes, reshapes, broadcasts, slices, reversals."""

from __future__ import annotations

from ...ir.graph import Graph
from . import dot_views, view_composition, view_motion, window_rules
from .rewriting import Rule, rewrite

RULES: tuple[Rule, ...] = (
    *view_composition.RULES,
    *view_motion.RULES,
    *dot_views.RULES,
    *window_rules.RULES,
)
"""All rules of this pass, in the order in which they are tried."""


def simplify_views(graph: Graph) -> Graph:
    """Requires: any graph.
    Ensures: no rule of `RULES` fits any more; equal values, bit for bit.
    """
    return rewrite(graph, RULES)
