"""A static-graph compiler with ahead-of-time differentiation for NumPy."""
