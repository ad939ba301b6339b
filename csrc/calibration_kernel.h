/* Calibration and dual sums of samples.  A template, after loss_kernel.h. */

/* Nearly all probabilities lie in the first bin, so the others are looked for in pieces. */
enum { NAME(PIECE) = 64 };

static INLINE int NAME(bin_of)(const Calibration *work, REAL value) {
    int bin = (int)ceil((double)(value * (REAL)work->bins)) - 1;
    bin = bin < work->bins - 1 ? bin : work->bins - 1;
    return bin > 0 ? bin : 0;
}

static INLINE int64_t NAME(cell_of)(const Calibration *work, REAL confidence) {
    union {
        float real;
        int32_t bits;
    } complement = {.real = (float)((REAL)1 - confidence)};
    complement.real = complement.real > 0 ? complement.real : 0;
    int64_t cell = (complement.bits >> work->cell_shift) - work->cell_first;
    return cell > 0 ? cell : 0;
}

static INLINE void NAME(add_to_bin)(
    const Calibration *work, CalibrationSums *sums, int64_t k, REAL probability
) {
    const int64_t place = k * work->bins + NAME(bin_of)(work, probability);
    sums->class_count[place]++;
    sums->class_probability[place] += probability;
}

/* Whether a label counts, and is a class. */
static INLINE int NAME(counted)(const Calibration *work, int64_t label, CalibrationSums *sums) {
    if (work->ignores && label == work->ignore_index)
        return 0;
    const int is_class = label >= 0 && label < work->classes;
    sums->strange += !is_class;
    return is_class;
}

/* What a sample adds but for its classes; `sample` is its first logit. */
static INLINE void NAME(add_sample)(
    const Calibration *work, CalibrationSums *sums, const REAL *sample, int64_t class_step,
    int64_t label, REAL top, REAL total, REAL confidence, REAL of_label
) {
    const REAL distance = top - sample[label * class_step];
    int correct = distance == 0;
    /* Of equal logits the first is predicted; others can be equal only up to 1/2. */
    for (int64_t k = 0; correct && confidence < (REAL)0.501 && k < label; k++)
        correct = sample[k * class_step] != top;
    const int bin = NAME(bin_of)(work, confidence);
    const int64_t cell = NAME(cell_of)(work, confidence);
    sums->bin_count[bin]++;
    sums->bin_correct[bin] += correct;
    sums->bin_confidence[bin] += confidence;
    sums->cell_count[cell]++;
    sums->cell_correct[cell] += correct;
    sums->cell_confidence[cell] += confidence;
    sums->class_positive[label * work->bins + NAME(bin_of)(work, of_label)]++;
    sums->class_correct[label] += correct;
    *sums->likelihood += NAME(log_above)(total) + distance;
    *sums->brier += 1 - 2 * (double)of_label;
}

/* Whether the likelihood of a label is a number: one of its class, and nothing is NaN. */
static INLINE int NAME(finite)(REAL total, REAL distance) {
    return total - total + (distance - distance) == 0;
}

static INLINE REAL NAME(clipped_slope)(
    REAL excess, REAL intercept, REAL gradient, REAL low, REAL high, const int relu
) {
    REAL slope = relu ? (excess >= 0 ? intercept : (REAL)0) : excess * gradient + intercept;
    slope = slope < low ? low : slope;
    return slope > high ? high : slope;
}

/* One sample with its classes side by side. */
TARGET static void NAME(row_statistics)(
    const Calibration *work, int64_t sample, REAL farthest, REAL *restrict e,
    CalibrationSums *sums
) {
    const int64_t classes = work->classes, label = work->target[sample];
    const REAL *restrict z = (const REAL *)work->logits + sample * classes;
    if (!NAME(counted)(work, label, sums))
        return;
    const REAL top = NAME(maximum)(z, classes);
    double whole = 0;
    for (int64_t first = 0; first < classes; first += LONG_SUM) {
        const int64_t end = first + LONG_SUM < classes ? first + LONG_SUM : classes;
        REAL total = 0;
#pragma omp simd reduction(+ : total)
        for (int64_t k = first; k < end; k++) {
            e[k] = NAME(exp_of_minus)(top - z[k], farthest);
            total += e[k];
        }
        whole += total;
    }
    if (!NAME(finite)((REAL)whole, top - z[label])) {
        ++*sums->nonfinite;
        return;
    }
    const REAL inverse = (REAL)(1 / whole);
    double *restrict class_total = sums->class_total;
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t k = 0; k < classes; k++) {
        e[k] *= inverse;
        double probability = e[k];
        class_total[k] += probability;
        squares += probability * probability;
    }
    *sums->brier += squares;
    const REAL limit = (REAL)work->first_bin_end;
    for (int64_t first = 0; first < classes; first += NAME(PIECE)) {
        const int64_t end = first + NAME(PIECE) < classes ? first + NAME(PIECE) : classes;
        int above = 0;
#pragma omp simd reduction(+ : above)
        for (int64_t k = first; k < end; k++)
            above += e[k] > limit;
        for (int64_t k = first; above && k < end; k++)
            if (e[k] > limit)
                NAME(add_to_bin)(work, sums, k, e[k]);
    }
    NAME(add_sample)(work, sums, z, 1, label, top, (REAL)whole, inverse, e[label]);
    if (!work->intercept)
        return;
    const REAL *restrict intercept = work->intercept, *restrict gradient = work->gradient;
    const REAL margin = (REAL)work->margin, low = (REAL)work->low, high = (REAL)work->high;
    for (int64_t k = 0; k < classes; k++) {
        REAL excess = top - z[k] - margin;
        sums->slope[k] +=
            NAME(clipped_slope)(excess, intercept[k], gradient[k], low, high, work->relu);
        sums->excess[k] += excess;
    }
}

/* Dual sums of a block whose logits are in the buffer. */
TARGET static INLINE void NAME(block_dual)(
    const Calibration *work, const NAME(Block) *block, const REAL *buffer,
    const REAL *restrict top, const REAL *restrict keep, CalibrationSums *sums, const int relu
) {
    const REAL margin = (REAL)work->margin, low = (REAL)work->low, high = (REAL)work->high;
    for (int64_t k = 0; k < work->classes; k++) {
        const REAL *restrict z = buffer + k * block->stride;
        const REAL intercept = ((const REAL *)work->intercept)[k];
        const REAL gradient = ((const REAL *)work->gradient)[k];
        double slopes = 0, excesses = 0;
#pragma omp simd reduction(+ : slopes, excesses)
        for (int p = 0; p < block->pixels; p++) {
            REAL excess = top[p] - z[p] - margin;
            REAL slope = NAME(clipped_slope)(excess, intercept, gradient, low, high, relu);
            slopes += keep[p] * slope;
            excesses += keep[p] * excess;
        }
        sums->slope[k] += slopes;
        sums->excess[k] += excesses;
    }
}

/* Samples side by side. */
TARGET static void NAME(block_statistics)(
    const Calibration *work, const NAME(Block) *block, REAL farthest, REAL *buffer,
    CalibrationSums *sums
) {
    const int n = block->pixels;
    const int64_t *restrict target = work->target + block->first;
    REAL top[NAME(MAX_PIXELS)], total[NAME(MAX_PIXELS)], inverse[NAME(MAX_PIXELS)];
    REAL keep[NAME(MAX_PIXELS)];
    int found[NAME(MAX_PIXELS)];
    int count = 0, lost = 1;
    for (int p = 0; p < n; p++) {
        int counts = NAME(counted)(work, target[p], sums);
        keep[p] = (REAL)counts;
        count += counts;
    }
    while (lost && count) {
        lost = 0;
        NAME(read_logits)(block, work->classes, buffer, top, count < n ? keep : NULL);
        if (work->intercept && work->relu)
            NAME(block_dual)(work, block, buffer, top, keep, sums, 1);
        else if (work->intercept)
            NAME(block_dual)(work, block, buffer, top, keep, sums, 0);
        for (int p = 0; p < n; p++) {
            const int64_t label = keep[p] > 0 ? target[p] : 0;
            inverse[p] = top[p] - buffer[label * block->stride + p]; /* distance of the label */
            total[p] = 0;
        }
        for (int64_t k = 0; k < work->classes; k++) {
            REAL *restrict e = buffer + k * block->stride;
#pragma omp simd
            for (int p = 0; p < n; p++) {
                e[p] = NAME(exp_of_minus)(top[p] - e[p], farthest);
                total[p] += e[p];
            }
        }
        for (int p = 0; p < n; p++)
            if (!NAME(finite)(total[p], inverse[p])) {
                keep[p] = 0;
                lost++;
            }
        *sums->nonfinite += lost;
        count -= lost;
    }
    if (!count)
        return;
#pragma omp simd
    for (int p = 0; p < n; p++)
        inverse[p] = keep[p] / total[p];
    const REAL limit = (REAL)work->first_bin_end;
    for (int64_t k = 0; k < work->classes; k++) {
        REAL *restrict e = buffer + k * block->stride;
        double class_total = 0, squares = 0;
#pragma omp simd reduction(+ : class_total, squares)
        for (int p = 0; p < n; p++) {
            e[p] *= inverse[p];
            double probability = e[p];
            class_total += probability;
            squares += probability * probability;
        }
        sums->class_total[k] += class_total;
        *sums->brier += squares;
        int high = 0;
        for (int p = 0; p < n; p++) {
            found[high] = p;
            high += e[p] > limit;
        }
        for (int i = 0; i < high; i++)
            NAME(add_to_bin)(work, sums, k, e[found[i]]);
    }
    for (int p = 0; p < n; p++)
        if (keep[p] > 0)
            NAME(add_sample)(
                work, sums, block->logits + p * block->pixel_step, block->class_step, target[p],
                top[p], total[p], inverse[p], buffer[target[p] * block->stride + p]
            );
}

TARGET static int NAME(calibration)(
    const Calibration *work, int64_t start, int64_t stop, CalibrationSums *sums
) {
    const int by_row = work->rows && work->classes >= FEW_CLASSES;
    const REAL farthest = (REAL)work->farthest; /* a variable, see exp_of_minus */
    const int most = NAME(block_pixels)(work->classes), stride = most + NAME(PAD);
    REAL *buffer = malloc(work->classes * (by_row ? 1 : stride) * sizeof(REAL));
    if (!buffer)
        return -1;
    for (int64_t sample = start; sample < stop;) {
        if (by_row) {
            NAME(row_statistics)(work, sample++, farthest, buffer, sums);
            continue;
        }
        NAME(Block) block = NAME(block_at)(
            work->logits, NULL, sample, stop, work->classes, work->pixels, work->rows, most
        );
        NAME(block_statistics)(work, &block, farthest, buffer, sums);
        sample += block.pixels;
    }
    free(buffer);
    return 0;
}
