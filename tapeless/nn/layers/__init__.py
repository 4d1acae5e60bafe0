"""Layers: immutable objects that act on parameters passed to them (`base.Layer` says how)."""

from .attending import MultiHeadAttention
from .base import Layer, Parameter
from .composition import Residual, Sequential
from .dense import Dense, Embedding
from .elementary import Activation, Dropout, Flatten
from .normalizing import BatchNorm, LayerNorm, RMSNorm
from .windowed import AvgPool2D, Conv1D, Conv2D, MaxPool2D

__all__ = [
    "Activation",
    "AvgPool2D",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Layer",
    "LayerNorm",
    "MaxPool2D",
    "MultiHeadAttention",
    "Parameter",
    "RMSNorm",
    "Residual",
    "Sequential",
]
