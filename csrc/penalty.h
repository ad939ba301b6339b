/* The penalty of some samples without a cross entropy: what the kernels get. */
#ifndef CALS_MM_PENALTY_H
#define CALS_MM_PENALTY_H

#include "loss.h"

typedef struct {
    Loss loss;           /* without what only the cross entropy asks for */
    const uint8_t *mask; /* whether a sample counts, or NULL: all */
} Penalty;

/* As a LossKernel; `entropy` stays 0. */
typedef void PenaltyKernel(const Penalty *work, Tiles *tiles, Sums *sums);

#endif
