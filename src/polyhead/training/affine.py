"""Affine transforms of images, (n, 8) as `keras.ops.image.affine_transform` takes them; the last two are 0."""

from collections.abc import Sequence

from keras import ops

from polyhead.training.losses import Tensor


def make_affine(*rows: Tensor) -> Tensor:
    """The transforms (n, 8) of (x, y) to (a0 x + a1 y + a2, b0 x + b1 y + b2), from these six, each (n,)."""
    none = ops.zeros_like(rows[0])
    return ops.stack([*rows, none, none], axis=1)


def around_centre(size: tuple[int, int], matrix: Sequence[Tensor], shift: Sequence[Tensor]) -> Tensor:
    """The transforms (n, 8) that apply a matrix [a0 a1; b0 b1] around the centre of images, then shift.

    Args:
        size: height and width.
        matrix: a0, a1, b0, b1, each (n,).
        shift: across and down, each (n,), in pixels.
    """
    a0, a1, b0, b1 = matrix
    x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
    return make_affine(a0, a1, x - a0 * x - a1 * y + shift[0], b0, b1, y - b0 * x - b1 * y + shift[1])


def apply_both(first: Tensor, second: Tensor) -> Tensor:
    """The affine transforms (n, 8) that do what `first` does to a point, then what `second` does to that."""
    a0, a1, a2, b0, b1, b2 = (first[:, at] for at in range(6))
    c0, c1, c2, d0, d1, d2 = (second[:, at] for at in range(6))
    return make_affine(
        *(c0 * a0 + c1 * b0, c0 * a1 + c1 * b1, c0 * a2 + c1 * b2 + c2),
        *(d0 * a0 + d1 * b0, d0 * a1 + d1 * b1, d0 * a2 + d1 * b2 + d2),
    )
