/* Penalty and its gradient alone.  A template, after loss_kernel.h, whose formulas these are. */

/* One sample with its classes side by side. */
TARGET static INLINE void NAME(penalty_row)(
    const NAME(Plan) *plan, const uint8_t *mask, int64_t sample, Sums *sums, const int relu
) {
    const Loss *loss = plan->loss;
    const int64_t classes = loss->classes;
    const REAL *restrict z = (const REAL *)loss->logits + sample * classes;
    REAL *restrict g = loss->gradient ? (REAL *)loss->gradient + sample * classes : NULL;
    if (mask && !mask[sample]) {
        if (g)
            memset(g, 0, classes * sizeof(REAL));
        return;
    }
    const REAL *restrict lam = plan->lam, *restrict cap = plan->cap, *restrict slope = plan->slope;
    const REAL margin = (REAL)loss->margin, top = NAME(maximum)(z, classes);
    double slopes = 0, value = 0, ties = 0, violated = 0;
    for (int64_t first = 0; first < classes; first += LONG_SUM) {
        const int64_t end = first + LONG_SUM < classes ? first + LONG_SUM : classes;
        REAL part_slopes = 0, part_value = 0, part_ties = 0, part_violated = 0;
#pragma omp simd reduction(+ : part_slopes, part_value, part_ties, part_violated)
        for (int64_t k = first; k < end; k++) {
            REAL d = top - z[k];
            REAL excess = d - margin;
            REAL q = excess < cap[k] ? cap[k] : excess;
            REAL derivative = NAME(derivative)(excess, q, cap[k], slope[k], relu);
            part_slopes += derivative;
            part_value += q * (lam[k] + derivative);
            if (d <= 0)
                part_ties += 1;
            if (excess > 0)
                part_violated += 1;
        }
        slopes += part_slopes;
        value += part_value;
        ties += part_ties;
        violated += part_violated;
    }
    sums->penalty += value;
    sums->violated += violated;
    if (!g)
        return;
    const REAL *restrict scaled_slope = plan->scaled_slope;
    const REAL share = (REAL)(slopes * loss->slope_scale / ties);
#pragma omp simd
    for (int64_t k = 0; k < classes; k++) {
        REAL d = top - z[k];
        REAL excess = d - margin;
        REAL q = excess < cap[k] ? cap[k] : excess;
        REAL derivative = NAME(derivative)(excess, q, cap[k], scaled_slope[k], relu);
        g[k] = (d == 0 ? share : (REAL)0) - derivative;
    }
}

/* Sums of a block's pixels over its classes. */
TARGET static INLINE void NAME(sum_penalties)(
    const NAME(Plan) *plan, const NAME(Block) *block, NAME(Pixels) *at, Sums *sums, const int relu
) {
    const int n = block->pixels;
    const REAL margin = (REAL)plan->loss->margin, slope_scale = (REAL)plan->loss->slope_scale;
    const REAL *restrict top = at->top;
    REAL *restrict slopes = at->slopes, *restrict value = at->value;
    REAL *restrict ties = at->ties, *restrict violated = at->violated;
    for (int p = 0; p < n; p++)
        slopes[p] = value[p] = ties[p] = violated[p] = 0;
    for (int64_t k = 0; k < plan->loss->classes; k++) {
        const REAL *restrict z = plan->z + k * block->stride;
        const REAL lam = plan->lam[k], slope = plan->slope[k], cap = plan->cap[k];
#pragma omp simd
        for (int p = 0; p < n; p++) {
            REAL d = top[p] - z[p];
            REAL excess = d - margin;
            REAL q = excess < cap ? cap : excess;
            REAL derivative = NAME(derivative)(excess, q, cap, slope, relu);
            slopes[p] += derivative;
            value[p] += q * (lam + derivative);
            ties[p] += d == 0 ? (REAL)1 : (REAL)0;
            violated[p] += excess > 0 ? (REAL)1 : (REAL)0;
        }
    }
    double penalty = 0, all_violated = 0;
#pragma omp simd reduction(+ : penalty, all_violated)
    for (int p = 0; p < n; p++) {
        penalty += at->keep[p] * value[p];
        all_violated += at->keep[p] * violated[p];
        at->share[p] = slopes[p] * slope_scale / ties[p];
    }
    sums->penalty += penalty;
    sums->violated += all_violated;
}

TARGET static INLINE void NAME(penalty_block)(
    const NAME(Plan) *plan, const uint8_t *mask, const NAME(Block) *block, Sums *sums,
    const int relu
) {
    const int n = block->pixels;
    const REAL margin = (REAL)plan->loss->margin;
    NAME(Pixels) at;
    int count = 0;
    for (int p = 0; p < n; p++) {
        const int counts = mask ? mask[block->first + p] != 0 : 1;
        at.keep[p] = (REAL)counts;
        count += counts;
    }
    if (count > 0) {
        const REAL *keep = count < n ? at.keep : NULL;
        NAME(read_logits)(block, plan->loss->classes, plan->z, at.top, keep);
        NAME(sum_penalties)(plan, block, &at, sums, relu);
    }
    if (!block->gradient)
        return;
    for (int64_t k = 0; k < plan->loss->classes; k++) {
        const REAL *restrict z = plan->z + k * block->stride;
        REAL *restrict g = plan->e;
        REAL *restrict out = block->gradient + k * block->class_step;
        const REAL slope = plan->scaled_slope[k], cap = plan->cap[k];
        if (count > 0)
#pragma omp simd
            for (int p = 0; p < n; p++) {
                REAL d = at.top[p] - z[p];
                REAL excess = d - margin;
                REAL q = excess < cap ? cap : excess;
                REAL derivative = NAME(derivative)(excess, q, cap, slope, relu);
                REAL own = (d == 0 ? at.share[p] : (REAL)0) - derivative;
                g[p] = at.keep[p] > 0 ? own : (REAL)0;
            }
        else
            memset(g, 0, n * sizeof(REAL));
        if (block->pixel_step == 1)
            memcpy(out, g, n * sizeof(REAL));
        for (int p = 0; p < n && block->pixel_step != 1; p++)
            out[p * block->pixel_step] = g[p];
    }
}

/* The samples of a tile. */
TARGET static INLINE void NAME(penalty_tile)(
    const NAME(Plan) *plan, const uint8_t *mask, int64_t sample, int64_t stop, int by_row, int most,
    Sums *sums, const int relu
) {
    const Loss *loss = plan->loss;
    while (sample < stop) {
        if (by_row) {
            NAME(penalty_row)(plan, mask, sample++, sums, relu);
            continue;
        }
        NAME(Block) block = NAME(block_at)(
            loss->logits, loss->gradient, sample, stop, loss->classes, loss->pixels, loss->rows,
            most
        );
        NAME(penalty_block)(plan, mask, &block, sums, relu);
        sample += block.pixels;
    }
}

TARGET static void NAME(penalty)(const Penalty *work, Tiles *tiles, Sums *sums) {
    const Loss *loss = &work->loss;
    const int by_row = loss->rows && loss->classes >= FEW_CLASSES;
    const int most = NAME(block_pixels)(loss->classes);
    NAME(Plan) plan;
    if (NAME(prepare)(&plan, loss, loss->classes * (by_row ? 1 : most + NAME(PAD))))
        return;
    int64_t sample, stop, number;
    while ((number = next_tile(tiles, &sample, &stop)) >= 0) {
        Sums own = {0, 0, 0}; /* not side by side with those of another thread */
        if (loss->relu)
            NAME(penalty_tile)(&plan, work->mask, sample, stop, by_row, most, &own, 1);
        else
            NAME(penalty_tile)(&plan, work->mask, sample, stop, by_row, most, &own, 0);
        own.penalty *= 0.5 / loss->margin; /* what was left out of every term */
        sums[number] = own;
    }
    free(plan.memory);
}
