/* Probabilities of samples, and their sums.  A template, after loss_kernel.h. */

/* Nearly all probabilities lie in the first bin, so the others are looked for in pieces. */
enum { NAME(PIECE) = 64 };

static INLINE void NAME(add_to_bin)(
    const Calibration *work, CalibrationSums *sums, int64_t k, REAL probability
) {
    int bin = (int)ceil((double)(probability * (REAL)work->bins)) - 1;
    bin = bin < work->bins - 1 ? bin : work->bins - 1;
    sums->class_count[k * work->bins + bin]++;
    sums->class_probability[k * work->bins + bin] += probability;
}

TARGET static void NAME(row_probabilities)(
    const Calibration *work, int64_t sample, REAL farthest, REAL *restrict e,
    CalibrationSums *sums
) {
    const int64_t classes = work->classes;
    const REAL *restrict z = (const REAL *)work->logits + sample * classes;
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
    sums->square_total += squares;
    ((REAL *)work->confidence)[sample] = inverse; /* times exp(0) */
    ((REAL *)work->of_label)[sample] = e[work->target[sample]];
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
}

TARGET static void NAME(block_probabilities)(
    const Calibration *work, const NAME(Block) *block, REAL farthest, REAL *buffer,
    CalibrationSums *sums
) {
    const int n = block->pixels;
    REAL top[NAME(MAX_PIXELS)], total[NAME(MAX_PIXELS)], inverse[NAME(MAX_PIXELS)];
    REAL keep[NAME(MAX_PIXELS)];
    int found[NAME(MAX_PIXELS)];
    int count = 0;
    for (int p = 0; p < n; p++) {
        int counts = work->valid ? work->valid[block->first + p] : 1;
        keep[p] = (REAL)counts;
        count += counts;
    }
    if (count == 0)
        return;
    NAME(read_logits)(block, work->classes, buffer, top, count < n ? keep : NULL);
    for (int p = 0; p < n; p++)
        total[p] = 0;
    for (int64_t k = 0; k < work->classes; k++) {
        REAL *restrict e = buffer + k * block->stride;
#pragma omp simd
        for (int p = 0; p < n; p++) {
            e[p] = NAME(exp_of_minus)(top[p] - e[p], farthest);
            total[p] += e[p];
        }
    }
    REAL *restrict confidence = (REAL *)work->confidence + block->first;
    REAL *restrict of_label = (REAL *)work->of_label + block->first;
#pragma omp simd
    for (int p = 0; p < n; p++) {
        inverse[p] = keep[p] / total[p];
        confidence[p] = inverse[p]; /* times exp(0) */
    }
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
        sums->square_total += squares;
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
            of_label[p] = buffer[work->target[block->first + p] * block->stride + p];
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
            if (!work->valid || work->valid[sample])
                NAME(row_probabilities)(work, sample, farthest, buffer, sums);
            sample++;
            continue;
        }
        NAME(Block) block = NAME(block_at)(
            work->logits, NULL, sample, stop, work->classes, work->pixels, work->rows, most
        );
        NAME(block_probabilities)(work, &block, farthest, buffer, sums);
        sample += block.pixels;
    }
    free(buffer);
    return 0;
}
