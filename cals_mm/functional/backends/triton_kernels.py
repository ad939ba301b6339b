"""Triton kernels of the loss. A tile is (pixels, classes), in any memory layout.

The arithmetic is that of the eager backend in float32. Samples that are not valid are read as
zeros, so inf and NaN in them have no effect.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["loss_kernel", "loss_kernel_many_classes", "scale_kernel"]


@triton.jit
def _penalty(h, lam, rho, KIND: tl.constexpr):
    """Value and derivative of the penalty, as in ``penalty_lagrangian``."""
    if KIND == "phr":
        slope = tl.maximum(lam + rho * h, 0.0)
        value = tl.where(slope > 0, h * (lam + 0.5 * rho * h), -lam * lam / (2 * rho))
    elif KIND == "relu":
        slope = tl.where(h >= 0, lam, 0.0)
        value = slope * h
    else:
        up = tl.maximum(h, 0.0)
        down = tl.minimum(h, 0.0)
        inner = 1 / (1 - rho * down)
        value = lam * up * (1 + rho * up)
        slope = lam * (1 + 2 * rho * up)
        if KIND == "p2":
            value += rho * rho * up * up * up / 6
            slope += 0.5 * rho * up * rho * up
        value = tl.where(h >= 0, value, lam * down * inner)
        slope = tl.where(h >= 0, slope, lam * inner * inner)
    return value, slope


@triton.jit
def _target_weights(classes, label, class_weight, num_classes, smoothing, WEIGHTED: tl.constexpr):
    """Weights q of -log p: (pixels, classes), and 0 beyond the last class."""
    inside = (classes < num_classes)[None, :]
    q = tl.where(classes[None, :] == label[:, None], 1 - smoothing, 0.0)
    q = tl.where(inside, q + smoothing / num_classes, 0.0)
    if WEIGHTED:
        weight = tl.load(class_weight + classes, mask=classes < num_classes, other=0.0)
        q = q * weight[None, :]
    return q


@triton.jit
def _load_pixels(
    target, valid, sample_weight, at, inside, MASKED: tl.constexpr, WEIGHTED: tl.constexpr
):
    """Label, whether the pixel counts, and its weight in the cross entropy."""
    label = tl.load(target + at, mask=inside, other=0)
    keep = inside
    if MASKED:
        keep = keep & (tl.load(valid + at, mask=inside, other=0) != 0)
    factor = tl.where(keep, 1.0, 0.0)
    if WEIGHTED:
        factor = tl.where(keep, tl.load(sample_weight + at, mask=inside, other=0.0), 0.0)
    return label, keep, factor


@triton.jit
def _load_logits(pointers, keep, inside):
    z = tl.load(pointers, mask=keep[:, None] & inside[None, :], other=0.0).to(tl.float32)
    return tl.where(inside[None, :], z, float("-inf"))


@triton.jit
def _store_sums(partials, program, programs, entropy, penalty, violated, keep, label, num_classes):
    bad = keep & ((label < 0) | (label >= num_classes))
    tl.store(partials + program, tl.sum(entropy, axis=0))
    tl.store(partials + programs + program, tl.sum(penalty, axis=0))
    tl.store(partials + 2 * programs + program, tl.sum(violated, axis=0))
    tl.store(partials + 3 * programs + program, tl.sum(tl.where(bad, 1.0, 0.0), axis=0))


@triton.jit
def loss_kernel(
    logits, target, valid, class_weight, sample_weight, lam, rho, scales, gradient, partials,
    num_classes, pixels, tiles, stride_n, stride_k, stride_p, margin, smoothing,
    KIND: tl.constexpr, MASKED: tl.constexpr, CLASS_WEIGHTED: tl.constexpr,
    SAMPLE_WEIGHTED: tl.constexpr, WITH_GRADIENT: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """All classes of BLOCK_P pixels in one tile: one read of the logits, one write."""
    program = tl.program_id(0)
    image = (program // tiles).to(tl.int64)
    pixel = (program % tiles) * BLOCK_P + tl.arange(0, BLOCK_P)
    classes = tl.arange(0, BLOCK_K)
    known = classes < num_classes
    label, keep, factor = _load_pixels(
        target, valid, sample_weight, image * pixels + pixel, pixel < pixels,
        MASKED, SAMPLE_WEIGHTED,
    )  # fmt: skip
    offset = (
        image * stride_n
        + pixel[:, None].to(tl.int64) * stride_p
        + classes[None, :].to(tl.int64) * stride_k
    )
    z = _load_logits(logits + offset, keep, known)
    u = z - tl.max(z, axis=1)[:, None]
    e = tl.exp(u)
    total = tl.sum(e, axis=1)

    q = _target_weights(classes, label, class_weight, num_classes, smoothing, CLASS_WEIGHTED)
    q_total = tl.sum(q, axis=1)
    q_u = tl.sum(tl.where(q > 0, q * u, 0.0), axis=1)
    entropy = factor * (q_total * tl.log(total) - q_u)

    counts = keep[:, None] & known[None, :]
    h = tl.where(known[None, :], (-u - margin) / margin, 0.0)
    lam_k = tl.load(lam + classes, mask=known, other=0.0)[None, :]
    rho_k = tl.load(rho + classes, mask=known, other=1.0)[None, :]
    value, slope = _penalty(h, lam_k, rho_k, KIND)
    slope = tl.where(counts, slope, 0.0)
    penalty = tl.sum(tl.where(counts, value, 0.0), axis=1)
    violated = tl.sum(tl.where(counts & (h > 0), 1.0, 0.0), axis=1)
    if WITH_GRADIENT:
        entropy_scale = tl.load(scales) * factor
        slope_scale = tl.load(scales + 1)
        largest = tl.where(u == 0, 1.0, 0.0)
        share = tl.sum(slope, axis=1) / tl.sum(largest, axis=1)
        g = e * (q_total / total)[:, None] - q
        g = g * entropy_scale[:, None] + (largest * share[:, None] - slope) * slope_scale
        mask = (pixel < pixels)[:, None] & known[None, :]
        tl.store(gradient + offset, g.to(gradient.dtype.element_ty), mask=mask)
    _store_sums(
        partials, program, tl.num_programs(0), entropy, penalty, violated, keep, label, num_classes
    )


@triton.jit
def loss_kernel_many_classes(
    logits, target, valid, class_weight, sample_weight, lam, rho, scales, gradient, partials,
    num_classes, pixels, tiles, stride_n, stride_k, stride_p, margin, smoothing,
    KIND: tl.constexpr, MASKED: tl.constexpr, CLASS_WEIGHTED: tl.constexpr,
    SAMPLE_WEIGHTED: tl.constexpr, WITH_GRADIENT: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Classes in blocks of BLOCK_K: an online softmax, the penalty, then the gradient.

    The second and third read of a pixel's logits follow soon after the first, so they mostly
    come from the cache.
    """
    program = tl.program_id(0)
    image = (program // tiles).to(tl.int64)
    pixel = (program % tiles) * BLOCK_P + tl.arange(0, BLOCK_P)
    block = tl.arange(0, BLOCK_K)
    label, keep, factor = _load_pixels(
        target, valid, sample_weight, image * pixels + pixel, pixel < pixels,
        MASKED, SAMPLE_WEIGHTED,
    )  # fmt: skip
    base = image * stride_n + pixel[:, None].to(tl.int64) * stride_p

    top = tl.full((BLOCK_P,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_P,), tl.float32)
    ties = tl.zeros((BLOCK_P,), tl.float32)
    for start in range(0, num_classes, BLOCK_K):
        classes = start + block
        pointers = logits + base + classes[None, :].to(tl.int64) * stride_k
        z = _load_logits(pointers, keep, classes < num_classes)
        new_top = tl.maximum(top, tl.max(z, axis=1))
        total = total * tl.exp(top - new_top) + tl.sum(tl.exp(z - new_top[:, None]), axis=1)
        equal = tl.sum(tl.where(z == new_top[:, None], 1.0, 0.0), axis=1)
        ties = tl.where(top == new_top, ties, 0.0) + equal
        top = new_top

    q_total = tl.zeros((BLOCK_P,), tl.float32)
    q_u = tl.zeros((BLOCK_P,), tl.float32)
    slope_total = tl.zeros((BLOCK_P,), tl.float32)
    penalty = tl.zeros((BLOCK_P,), tl.float32)
    violated = tl.zeros((BLOCK_P,), tl.float32)
    for start in range(0, num_classes, BLOCK_K):
        classes = start + block
        known = classes < num_classes
        pointers = logits + base + classes[None, :].to(tl.int64) * stride_k
        u = _load_logits(pointers, keep, known) - top[:, None]
        q = _target_weights(classes, label, class_weight, num_classes, smoothing, CLASS_WEIGHTED)
        q_total += tl.sum(q, axis=1)
        q_u += tl.sum(tl.where(q > 0, q * u, 0.0), axis=1)
        counts = keep[:, None] & known[None, :]
        h = tl.where(known[None, :], (-u - margin) / margin, 0.0)
        lam_k = tl.load(lam + classes, mask=known, other=0.0)[None, :]
        rho_k = tl.load(rho + classes, mask=known, other=1.0)[None, :]
        value, slope = _penalty(h, lam_k, rho_k, KIND)
        slope_total += tl.sum(tl.where(counts, slope, 0.0), axis=1)
        penalty += tl.sum(tl.where(counts, value, 0.0), axis=1)
        violated += tl.sum(tl.where(counts & (h > 0), 1.0, 0.0), axis=1)
    entropy = factor * (q_total * tl.log(total) - q_u)

    if WITH_GRADIENT:
        entropy_scale = tl.load(scales) * factor
        slope_scale = tl.load(scales + 1)
        share = slope_total / ties
        for start in range(0, num_classes, BLOCK_K):
            classes = start + block
            known = classes < num_classes
            offset = base + classes[None, :].to(tl.int64) * stride_k
            u = _load_logits(logits + offset, keep, known) - top[:, None]
            q = _target_weights(
                classes, label, class_weight, num_classes, smoothing, CLASS_WEIGHTED
            )
            h = tl.where(known[None, :], (-u - margin) / margin, 0.0)
            lam_k = tl.load(lam + classes, mask=known, other=0.0)[None, :]
            rho_k = tl.load(rho + classes, mask=known, other=1.0)[None, :]
            _, slope = _penalty(h, lam_k, rho_k, KIND)
            slope = tl.where(keep[:, None] & known[None, :], slope, 0.0)
            largest = tl.where(u == 0, 1.0, 0.0)
            g = tl.exp(u) * (q_total / total)[:, None] - q
            g = g * entropy_scale[:, None] + (largest * share[:, None] - slope) * slope_scale
            mask = (pixel < pixels)[:, None] & known[None, :]
            tl.store(gradient + offset, g.to(gradient.dtype.element_ty), mask=mask)
    _store_sums(
        partials, program, tl.num_programs(0), entropy, penalty, violated, keep, label, num_classes
    )


@triton.jit
def scale_kernel(values, factor, count, BLOCK: tl.constexpr):
    """Multiply in place, unless the factor is 1."""
    scale = tl.load(factor)
    if scale != 1.0:
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        value = tl.load(values + at, mask=at < count, other=0.0)
        scaled = (value.to(tl.float32) * scale).to(values.dtype.element_ty)
        tl.store(values + at, scaled, mask=at < count)
