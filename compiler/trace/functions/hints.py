"""What to do instead of a NumPy function that is not understood, by its name."""

from __future__ import annotations

_SORTED = "sort outside the compiled function, or use np.max, np.min and np.argmax"
_COUNTED = "the number of results depends on the data: np.where(condition, x, 0) keeps the shape"
_FACTORED = "compute it outside the compiled function; products and norms are supported"
_SPECTRUM = "transform outside the compiled function; np.convolve is supported"

HINTS: dict[str, str] = {
    **dict.fromkeys(
        (
            "np.sort",
            "np.argsort",
            "np.partition",
            "np.argpartition",
            "np.lexsort",
            "np.median",
            "np.percentile",
            "np.quantile",
            "np.nanmedian",
            "np.nanpercentile",
            "np.nanquantile",
            "np.digitize",
        ),
        _SORTED,
    ),
    **dict.fromkeys(
        (
            "np.nonzero",
            "np.flatnonzero",
            "np.argwhere",
            "np.extract",
            "np.unique",
            "np.union1d",
            "np.intersect1d",
            "np.setdiff1d",
            "np.trim_zeros",
        ),
        _COUNTED,
    ),
    **dict.fromkeys(
        (
            "np.linalg.solve",
            "np.linalg.inv",
            "np.linalg.det",
            "np.linalg.slogdet",
            "np.linalg.lstsq",
            "np.linalg.pinv",
            "np.linalg.eig",
            "np.linalg.eigh",
            "np.linalg.eigvals",
            "np.linalg.eigvalsh",
            "np.linalg.svd",
            "np.linalg.svdvals",
            "np.linalg.qr",
            "np.linalg.cholesky",
            "np.linalg.matrix_rank",
            "np.linalg.cond",
            "np.linalg.tensorsolve",
            "np.linalg.tensorinv",
        ),
        _FACTORED,
    ),
    **dict.fromkeys(
        ("np.fft.fft", "np.fft.ifft", "np.fft.rfft", "np.fft.irfft", "np.fft.fft2", "np.fft.ifft2"),
        _SPECTRUM,
    ),
    **dict.fromkeys(
        ("np.ravel_multi_index", "np.unravel_index"),
        "compute positions with %, // and *; out-of-range ones would have to raise",
    ),
    **dict.fromkeys(
        ("np.nanargmax", "np.nanargmin"),
        "np.argmax(np.where(np.isnan(x), -np.inf, x)); a row of NaNs would have to raise",
    ),
    **dict.fromkeys(
        ("np.polyfit", "np.roots", "np.poly"), "fit outside; np.polyval and np.vander are supported"
    ),
    "np.apply_along_axis": "write the function with an axis argument, or use tl.vmap",
    "np.apply_over_axes": "call the function once per axis",
    "np.piecewise": "np.select([condition, ...], [value, ...])",
    "np.place": "x[mask] = value, or np.where(mask, value, x)",
    "np.histogram": "np.add.at(counts, bins, 1) with bins computed by np.floor",
    "np.bincount": "np.add.at(counts, x, 1) on zeros of a known length",
    "np.angle": "complex numbers are not supported; np.arctan2(y, x) gives an angle",
    "np.unwrap": "np.cumsum of differences brought into range with np.remainder",
    "np.savetxt": "return the array and write it outside",
    "np.save": "return the array and write it outside",
    "np.array2string": "print after the call: values are known only when the program runs",
    "np.array_repr": "print after the call: values are known only when the program runs",
    "np.array_str": "print after the call: values are known only when the program runs",
    "np.shares_memory": "np.may_share_memory",
}
"""Hints by the name that users write."""
