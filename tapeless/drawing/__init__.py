"""Pictures of graphs, drawn without any other program.

A graph (`graph_scene.py`, `operations.py`), with values on demand (`values.py`), becomes a *scene*
of boxes and nets (`scene.py`). What is too long is cut (`tags.py`, `columns.py`); `measure.py`
gives every box a size, `layers.py` a layer, `crossings.py` an order in it, `coordinates.py`,
`straighten.py` and `placement.py` a place; `svg.py` (colours: `palette.py`) and `dot.py` write the
text. `drawing.py` is what a user gets, `functions.py` has `tl.draw`, `program.py` the pictures of
compiled programs. Tensors draw themselves with the same scenes (`tensor/picture.py`).
"""

from .drawing import Drawing
from .graph_scene import Labels, graph_scene

__all__ = ["Drawing", "Labels", "graph_scene"]
