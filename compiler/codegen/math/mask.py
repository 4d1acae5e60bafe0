"""Questions about a whole mask at once, for branches that all lanes take together."""

from __future__ import annotations

from ..operand import Operand
from .vec import Vec


def any_lane(mask: Vec) -> Operand:
    """Whether any lane of the mask is set, as an i1."""
    lanes = mask.x.lanes
    if lanes == 1:
        return mask.x
    bits = mask.b.instruction(f"i{lanes}", f"bitcast {mask.x.type} {mask.x.text} to i{lanes}")
    return mask.b.icmp("ne", bits, mask.b.const(f"i{lanes}", 0))
