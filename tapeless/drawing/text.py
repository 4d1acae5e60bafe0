"""How much room text takes, without asking the machine's fonts.

Pictures name several fonts, and a viewer uses the first that it has. Widths are therefore upper
bounds: those of DejaVu, the widest of the usual sans-serif and monospaced families.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

SANS = 'system-ui, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif'
MONO = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'
"""Font families with fallbacks, for operations and for types and numbers."""

_CLASSES = (
    ("'ijlIJ|/ ", 0.37),
    (".,:;·-()[]!ftᵀ²¹", 0.48),
    ('rs"*_zc?', 0.60),
    ("mwMW@%…", 1.11),
    ("ABCDGHKNOQRUVX&×−÷+=<>→≤≥≠^←¬∇∂", 0.86),
)
_WIDTHS = {character: width for text, width in _CLASSES for character in text}
_OTHER = 0.73
"""Widths in units of the font size, bold face; `_OTHER` for letters that are not listed."""

_MONO_WIDTH = 0.605


@dataclass(frozen=True)
class Font:
    """A face as the style sheet of a picture names it: `style` is its class, `size` in pixels."""

    style: str
    size: float
    fixed: bool = True

    @property
    def height(self) -> float:
        """Distance of two lines."""
        return 1.3 * self.size

    def width(self, text: str) -> float:
        """Pixels that `text` takes at most."""
        if self.fixed:
            return len(text) * _MONO_WIDTH * self.size
        return fsum(_WIDTHS.get(character, _OTHER) for character in text) * self.size


OPERATION = Font("op", 13, fixed=False)
SMALL = Font("small", 10.5, fixed=False)
HEADING = Font("heading", 16, fixed=False)
NAME = Font("name", 12)
TYPE = Font("type", 10.5)
VALUE = Font("value", 11)
GRADIENT = Font("gradient", 11)
"""What a picture writes: operations, views and captions, headings; names, types and numbers."""
