"""Pictures of graphs, drawn without any other program.

`graph_scene.py` (with `operations.py`) turns a graph into a *scene* of boxes and nets (`scene.py`).
`measure.py` gives every box a size, `layers.py` a layer, `crossings.py` an order in it,
`coordinates.py` and `placement.py` a place; `svg.py` (colours: `palette.py`) and `dot.py` write the
text. `drawing.py` has what a user gets, `Drawing`.
"""

from .drawing import Drawing
from .graph_scene import Labels, graph_scene

__all__ = ["Drawing", "Labels", "graph_scene"]
