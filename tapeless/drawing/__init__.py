"""Pictures of graphs, drawn without any other program: the scene, its layout, SVG and DOT text.

`scene.py` turns a graph into boxes and wires, `layers.py` and `placement.py` give each box a place,
`svg.py` and `dot.py` write the text. Reads `ir` only; used by `tapeless dump`.
"""

from .dot import dot_text
from .svg import svg_text

__all__ = ["dot_text", "svg_text"]
