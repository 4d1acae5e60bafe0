"""Optimizers, in two forms of one set of formulas.

*Functions* update a pytree of arrays in place: `state = adam_init(params)` once, then
`adam(params, grads, state, lr=…)` on every step. Parameters and state are arrays that keep their
dtype and are overwritten where they lie, so a step works alike inside `tl.compile` (where it fuses
with the backward pass), in `f.dynamic`, and on bare arrays. Step counters are arrays too, hence no
recompilation as they grow. Hyperparameters may be Python numbers, NumPy scalars or 0-d arrays; pass
those that change (`lr`) as arguments of the compiled function.

*Objects* (`SGD`, `Adam`, …) update Tensors after `backward()`, by the same functions, compiled.

`clip_by_norm` and `clip_by_value` bound gradients on their way there; schedules (`CosineDecay`, …)
make learning rates from step counts.

`updates.py` has the formulas, `trees.py` what they share; `objects.py` and `optimizer.py` have the
objects, `tensors.py` what they ask of Tensors; `clipping.py` and `schedules.py` the rest.
"""

from .clipping import clip_by_norm, clip_by_value, global_norm
from .objects import SGD, Adagrad, Adam, AdamW, RMSprop
from .optimizer import Optimizer
from .schedules import Constant, CosineDecay, ExponentialDecay, Schedule, StepDecay, WarmUp
from .updates import (
    AdagradState,
    AdamState,
    RMSpropState,
    SGDState,
    adagrad,
    adagrad_init,
    adam,
    adam_init,
    adamw,
    adamw_init,
    rmsprop,
    rmsprop_init,
    sgd,
    sgd_init,
)

__all__ = [
    "SGD",
    "Adagrad",
    "AdagradState",
    "Adam",
    "AdamState",
    "AdamW",
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "Optimizer",
    "RMSprop",
    "RMSpropState",
    "SGDState",
    "Schedule",
    "StepDecay",
    "WarmUp",
    "adagrad",
    "adagrad_init",
    "adam",
    "adam_init",
    "adamw",
    "adamw_init",
    "clip_by_norm",
    "clip_by_value",
    "global_norm",
    "rmsprop",
    "rmsprop_init",
    "sgd",
    "sgd_init",
]
