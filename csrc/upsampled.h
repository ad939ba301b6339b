/* The loss of bilinearly enlarged (or reduced) logits: what the kernels get and give. */
#ifndef CALS_MM_UPSAMPLED_H
#define CALS_MM_UPSAMPLED_H

#include <stdint.h>

#include "loss.h"

/* An output row or column lies between two of the source, `from` and the next; there is no next of
   the last, whose share is 0. */
typedef struct {
    int64_t source, output; /* rows or columns of the logits, and of the labels */
    const int32_t *from;    /* one per output, increasing */
    const void *share;      /* one per output: weight of the next, in the type of the arithmetic */
} Axis;

typedef struct {
    Loss loss; /* `pixels` are the labels of an image; logits and gradient are of the source */
    Axis rows, columns;
    int64_t images;
    int64_t band, bands; /* source rows of a band, and bands of an image */
    void *carry; /* gradients of the row behind each band but an image's last: (row, class, column) */
} Upsampled;

typedef struct {
    Sums loss;
    int64_t correct; /* samples whose label has the largest logit, the first of equal ones */
} UpsampledSums;

/* Takes bands until there are none, or at once none without memory: writes the sums of each, by
   its number, the gradient of its rows, and what it adds to the row behind them. */
typedef void UpsampledKernel(const Upsampled *work, Tiles *bands, UpsampledSums *sums);

#endif
