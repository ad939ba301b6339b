/* The calibration sums of some samples, and those of the dual step: what the kernels get and give. */
#ifndef CALS_MM_CALIBRATION_H
#define CALS_MM_CALIBRATION_H

#include <stdint.h>

typedef struct {
    /* Of the type of the arithmetic; intercept and gradient, per class, are NULL without dual sums:
       the derivative of the penalty is intercept + gradient (d - m), or, with `relu`, intercept
       where d reaches m, and then clipped. */
    const void *logits, *intercept, *gradient;
    const int64_t *target; /* one label per sample, a class where it counts */
    int64_t classes;
    int64_t pixels; /* samples of an image; ignored where `rows` */
    int rows;       /* the classes of a sample lie side by side, else the pixels of a class */
    int ignores, relu;
    int64_t ignore_index; /* if `ignores`, samples with this label do not count */
    double margin, low, high;
    int bins;
    double farthest;      /* distances are at most so large; FARTHEST of the type */
    double first_bin_end; /* the largest probability of the first bin */
    /* The fine cell of a confidence: the bits of 1 - confidence in float, shifted, less `cell_first`,
       at least 0. */
    int64_t cells, cell_first;
    int cell_shift;
} Calibration;

/* To be added to: the tensors of CalibrationStatistics, of which the first bin of class_count and
   class_probability stays 0, and per class the sums of probability, derivative and d - m. */
typedef struct {
    int64_t *bin_count, *bin_correct, *cell_count, *cell_correct;
    int64_t *class_count, *class_positive, *class_correct, *nonfinite;
    double *bin_confidence, *cell_confidence, *class_probability, *likelihood, *brier;
    double *class_total, *slope, *excess;
    int64_t strange; /* labels that are no class */
} CalibrationSums;

/* Adds up the samples [start, stop); 0, or -1 without memory. */
typedef int CalibrationKernel(
    const Calibration *work, int64_t start, int64_t stop, CalibrationSums *sums
);

#endif
