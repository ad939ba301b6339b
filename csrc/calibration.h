/* The calibration sums of some samples: what the kernels get and give. */
#ifndef CALS_MM_CALIBRATION_H
#define CALS_MM_CALIBRATION_H

#include <stdint.h>

typedef struct {
    /* Of the type of the arithmetic. */
    const void *logits;
    const int64_t *target; /* one label per sample, a class where it counts */
    const uint8_t *valid;  /* whether a sample counts, or NULL: all */
    void *confidence;      /* one per sample: largest probability */
    void *of_label;        /* one per sample: probability of its label */
    int64_t classes;
    int64_t pixels; /* samples of an image; ignored where `rows` */
    int rows;       /* the classes of a sample lie side by side, else the pixels of a class */
    int bins;
    double farthest;      /* distances are at most so large; FARTHEST of the type */
    double first_bin_end; /* the largest probability of the first bin */
} Calibration;

/* To be added to; per class, and per class and bin but for the first. */
typedef struct {
    double *class_total;
    int64_t *class_count;
    double *class_probability;
    double square_total;
} CalibrationSums;

/* Adds up the samples [start, stop); 0, or -1 without memory. */
typedef int CalibrationKernel(
    const Calibration *work, int64_t start, int64_t stop, CalibrationSums *sums
);

#endif
