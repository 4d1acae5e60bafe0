"""Fusion: which nodes become one kernel.

`groups.py` keeps the groups and the dependence between them, `admission.py` says whether a node
may join a group, `registers.py` what needs no loops, `prologues.py` what joins the product that
reads it, `parts.py` what joins the concatenation that does, `fuse.py` walks the graph and builds
the `fused` nodes, `overwrite.py` what those may overwrite, `explain.py` why there are not fewer.
"""

from .explain import Separation, explain_fusion
from .fuse import fuse_kernels
from .overwrite import reads_only_at_index

__all__ = ["Separation", "explain_fusion", "fuse_kernels", "reads_only_at_index"]
