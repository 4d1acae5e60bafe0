"""What a program is: types, the graph and its ops, text format, verifier, interpreter, errors.

This folder depends on NumPy alone. `compiler` and `runtime` import it; it imports neither.
"""
