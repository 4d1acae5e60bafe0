"""Plots of training: curves, activations with their derivatives, define-by-run against compiled.

    tl.plot.curves({"SGD": losses, "Adam": others}, log=True)
    tl.plot.activation(np.tanh)
    tl.plot.activations([tl.nn.relu, tl.nn.elu, np.tanh])
    tl.plot.timing(comparison)                       # of tapeless.report.compare

Each draws into the `axes` it is given, or into a figure of its own, and returns what it drew into.
Nothing is shown: a notebook does so by itself, elsewhere call `matplotlib.pyplot.show()`, or save
with `axes.figure.savefig(path)`. Matplotlib (`pip install 'tapeless[plot]'`) is imported only when
something is drawn.

`curves.py`, `activations.py` and `timings.py` have one kind of plot each, `canvas.py` what they
share.
"""

from .activations import activation, activations
from .curves import curves
from .timings import timing

__all__ = ["activation", "activations", "curves", "timing"]
