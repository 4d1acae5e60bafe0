"""Mean softmax cross-entropy against integer labels, for each peer."""

from __future__ import annotations


def cross_entropy(np, scores, labels):
    """For tapeless: scores (n, classes), labels (n,)."""
    scores = scores - scores.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(scores).sum(axis=1))
    return np.mean(log_total - scores[np.arange(len(labels)), labels])


def jax_cross_entropy(jax, scores, labels):
    """For JAX, by a product with indicators: XLA's scatter on the CPU is slow."""
    indicators = jax.nn.one_hot(labels, scores.shape[1], dtype=scores.dtype)
    return -jax.numpy.mean(jax.numpy.sum(jax.nn.log_softmax(scores) * indicators, axis=1))


def numpy_cross_entropy(np, scores, labels):
    """By hand: the loss and its gradient by the scores, which are overwritten."""
    rows = np.arange(len(labels))
    scores -= scores.max(axis=1, keepdims=True)
    chosen = scores[rows, labels]
    np.exp(scores, out=scores)
    total = scores.sum(axis=1, keepdims=True)
    value = np.mean(np.log(total[:, 0]) - chosen)
    scores /= total
    scores[rows, labels] -= 1
    scores /= len(labels)
    return value, scores
