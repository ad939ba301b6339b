/* The loss of some samples: what the kernels get and give. */
#ifndef CALS_MM_LOSS_H
#define CALS_MM_LOSS_H

#include <stdint.h>

#include "threads.h"

typedef struct {
    /* Of the type of the arithmetic; the layout of `gradient` is that of `logits`. */
    const void *logits;
    void *gradient;            /* or NULL */
    const int64_t *target;     /* one label per sample */
    const void *sample_weight; /* one per sample, or NULL */
    const void *class_weight;  /* one per class, or NULL */
    const void *multipliers;   /* one per class */
    const void *rho;           /* one per class */
    int64_t classes;
    int64_t pixels; /* samples of an image; ignored where `rows` */
    int rows;       /* the classes of a sample lie side by side, else the pixels of a class */
    int ignores;    /* whether `ignore_index` counts */
    int relu;       /* the penalty is lambda max(0, h), not PHR */
    int64_t ignore_index;
    double margin;
    double smoothing;
    double entropy_scale; /* of the gradient of the cross entropy */
    double slope_scale;   /* of the penalty's derivative in the violation */
} Loss;

/* Sums over samples, not scaled. */
typedef struct {
    double entropy, penalty, violated;
} Sums;

/* Takes tiles until there are none, or at once none without memory: writes the sums of each, by
   its number, and the gradient.  The labels must be classes or, where they are ignored, anything. */
typedef void LossKernel(const Loss *loss, Tiles *tiles, Sums *sums);

#endif
