/* Cross entropy, penalty and gradient of samples.  A template, as real_math.h.

   With d = max z - z >= 0, S = sum exp(-d) and the violation h = (d - m) / m, the penalty of a
   class is PHR as one line: with c = -m lambda / rho and q = max(m h, c), P' = (q - c) rho / m and
   P = q (lambda + P') / (2 m).  At the cap c, P' is 0 to the last bit; lambda + q rho / m is not.
   ReLU has c = 0 and P' = lambda where the distance reaches the margin, in the same formula for P.
   The largest logit is in all distances, so its gradient holds the sum of P', shared evenly among
   equal maxima. */

/* Constants of a call, and memory for a block of samples. */
typedef struct {
    const Loss *loss;
    REAL *lam, *cap, *slope;          /* per class, see `derivative` */
    REAL *scaled_slope;               /* slope times slope_scale */
    REAL *uniform;                    /* per class: weight of -log p by label smoothing, or NULL */
    REAL uniform_total;
    REAL farthest;                    /* see exp_of_minus */
    REAL *z, *e;                      /* logits of a block, and exp(-d) */
    void *memory;
} NAME(Plan);

enum { NAME(MAX_PIXELS) = 256, NAME(PAD) = 64 / sizeof(REAL) };

/* Per pixel of a block. */
typedef struct {
    REAL top[NAME(MAX_PIXELS)], total[NAME(MAX_PIXELS)], slopes[NAME(MAX_PIXELS)];
    REAL ties[NAME(MAX_PIXELS)], value[NAME(MAX_PIXELS)], violated[NAME(MAX_PIXELS)];
    REAL by_label[NAME(MAX_PIXELS)], spread[NAME(MAX_PIXELS)], weight[NAME(MAX_PIXELS)];
    REAL keep[NAME(MAX_PIXELS)], factor[NAME(MAX_PIXELS)], share[NAME(MAX_PIXELS)];
    REAL label_distance[NAME(MAX_PIXELS)];
    int64_t label[NAME(MAX_PIXELS)];
} NAME(Pixels);

static INLINE int NAME(counts)(const Loss *loss, int64_t label) {
    return !(loss->ignores && label == loss->ignore_index);
}

/* P' by d - m and the same bounded by the cap; `relu` is a constant where this is inlined. */
static INLINE REAL NAME(derivative)(REAL excess, REAL q, REAL cap, REAL slope, const int relu) {
    if (relu)
        return excess >= 0 ? slope : (REAL)0;
    return slope * (q - cap);
}

/* What the label alone weighs in the cross entropy. */
static INLINE REAL NAME(label_weight)(const Loss *loss, int64_t label) {
    REAL weight = (REAL)(1 - loss->smoothing);
    return loss->class_weight ? weight * ((const REAL *)loss->class_weight)[label] : weight;
}

/* Classes with those that fill the last vector up. */
static INLINE int64_t NAME(padded)(int64_t classes) {
    return (classes + NAME(PAD) - 1) / NAME(PAD) * NAME(PAD);
}

/* The largest of some values, which may miss a NaN that is not the first. */
static INLINE REAL NAME(maximum)(const REAL *restrict z, int64_t count) {
    /* Four at once, of whole vectors: each comparison waits for the one before. */
    const int64_t quarter = count / 4 / NAME(PAD) * NAME(PAD);
    REAL a = z[0], b = z[0], c = z[0], d = z[0];
#pragma omp simd reduction(max : a, b, c, d)
    for (int64_t k = 0; k < quarter; k++) {
        a = z[k] > a ? z[k] : a;
        b = z[k + quarter] > b ? z[k + quarter] : b;
        c = z[k + 2 * quarter] > c ? z[k + 2 * quarter] : c;
        d = z[k + 3 * quarter] > d ? z[k + 3 * quarter] : d;
    }
#pragma omp simd reduction(max : a)
    for (int64_t k = 4 * quarter; k < count; k++)
        a = z[k] > a ? z[k] : a;
    a = a > b ? a : b;
    c = c > d ? c : d;
    return a > c ? a : c;
}

/* Copies a row to where vectors begin and returns its maximum.  The last vector is filled up by
   values so low that they add 0 to every sum but that of the violated constraints. */
static INLINE REAL NAME(read_row)(const REAL *restrict row, REAL *restrict z, int64_t classes) {
    const int64_t pairs = classes / NAME(PAD) / 2 * NAME(PAD);
    REAL a = row[0], b = row[0];
#pragma omp simd reduction(max : a, b)
    for (int64_t k = 0; k < pairs; k++) {
        const REAL first = row[k], second = row[k + pairs];
        a = first > a ? first : a;
        b = second > b ? second : b;
        z[k] = first;
        z[k + pairs] = second;
    }
    for (int64_t k = 2 * pairs; k < NAME(padded)(classes); k++)
        z[k] = k < classes ? row[k] : LOWEST;
#pragma omp simd reduction(max : a)
    for (int64_t k = 2 * pairs; k < NAME(padded)(classes); k++)
        a = z[k] > a ? z[k] : a;
    return a > b ? a : b;
}

/* One sample with its classes side by side. */
TARGET static INLINE void NAME(row)(
    const NAME(Plan) *plan, int64_t sample, Sums *sums, const int relu
) {
    const Loss *loss = plan->loss;
    const int64_t classes = loss->classes, label = loss->target[sample];
    const REAL *row = (const REAL *)loss->logits + sample * classes;
    REAL *g = loss->gradient ? (REAL *)loss->gradient + sample * classes : NULL;
    if (!NAME(counts)(loss, label)) {
        if (g)
            memset(g, 0, classes * sizeof(REAL));
        return;
    }
    /* Rows that end within a vector take a tenth less time if copied. */
    const int64_t padded = NAME(padded)(classes);
    const int copied = padded > classes;
    const REAL top = copied ? NAME(read_row)(row, plan->z, classes) : NAME(maximum)(row, classes);
    const REAL *restrict z = copied ? plan->z : row;
    REAL *e = copied || !g ? plan->e : g;
    const REAL *restrict lam = plan->lam, *restrict cap = plan->cap, *restrict slope = plan->slope;
    const REAL margin = (REAL)loss->margin, farthest = plan->farthest;

    double total = 0, slopes = 0, value = 0, ties = 0, violated = 0;
    for (int64_t first = 0; first < padded; first += LONG_SUM) {
        const int64_t end = first + LONG_SUM < padded ? first + LONG_SUM : padded;
        REAL part_total = 0, part_slopes = 0, part_value = 0, part_ties = 0, part_violated = 0;
#pragma omp simd reduction(+ : part_total, part_slopes, part_value, part_ties, part_violated)
        for (int64_t k = first; k < end; k++) {
            REAL d = top - z[k];
            REAL exponential = NAME(exp_of_minus)(d, farthest);
            e[k] = exponential;
            part_total += exponential;
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
        total += part_total;
        slopes += part_slopes;
        value += part_value;
        ties += part_ties;
        violated += part_violated;
    }

    const REAL weight = loss->sample_weight ? ((const REAL *)loss->sample_weight)[sample] : 1;
    const REAL by_label = NAME(label_weight)(loss, label);
    const REAL weights = by_label + plan->uniform_total;
    double spread = 0;
    if (plan->uniform)
        for (int64_t k = 0; k < classes; k++)
            spread += plan->uniform[k] * (double)(top - z[k]);
    const double entropy = weights * (double)NAME(log_above)((REAL)total);
    sums->entropy += weight * (entropy + by_label * (double)(top - z[label]) + spread);
    sums->penalty += value;
    sums->violated += total > 0 ? violated - (double)(padded - classes) : 0; /* not with NaN */
    if (!g)
        return;

    const REAL *restrict scaled_slope = plan->scaled_slope;
    const REAL scale = weight * (REAL)loss->entropy_scale;
    const REAL factor = (REAL)(scale * weights / total);
    const REAL share = (REAL)(slopes * loss->slope_scale / ties);
#pragma omp simd
    for (int64_t k = 0; k < classes; k++) {
        REAL d = top - z[k];
        REAL excess = d - margin;
        REAL q = excess < cap[k] ? cap[k] : excess;
        REAL derivative = NAME(derivative)(excess, q, cap[k], scaled_slope[k], relu);
        REAL own = e[k] * factor - derivative;
        g[k] = own + (d == 0 ? share : (REAL)0);
    }
    if (plan->uniform)
#pragma omp simd
        for (int64_t k = 0; k < classes; k++)
            g[k] -= scale * plan->uniform[k];
    g[label] -= scale * by_label;
}

/* Where the samples of a block lie: logits[k * class_step + p * pixel_step]. */
typedef struct {
    const REAL *logits;
    REAL *gradient;
    int64_t class_step, pixel_step, first; /* the first sample of the block */
    int pixels, stride;                    /* samples, and the step of classes in the buffers */
} NAME(Block);

/* Samples of a block, so that its buffers stay in the nearest caches. */
static int NAME(block_pixels)(int64_t classes) {
    const int64_t fitting = 393216 / (int64_t)(2 * sizeof(REAL)) / classes / 16 * 16;
    return fitting < 16 ? 16 : fitting > NAME(MAX_PIXELS) ? NAME(MAX_PIXELS) : (int)fitting;
}

/* The block from a sample on: it ends where its image does, or at `stop`, or after `most`. */
static NAME(Block) NAME(block_at)(
    const void *logits, void *gradient, int64_t sample, int64_t stop, int64_t classes,
    int64_t pixels, int rows, int most
) {
    const int64_t image = rows ? 0 : sample / pixels;
    const int64_t offset = rows ? sample * classes : image * pixels * (classes - 1) + sample;
    int64_t end = rows ? stop : (image + 1) * pixels;
    end = end < stop ? end : stop;
    return (NAME(Block)){
        .logits = (const REAL *)logits + offset,
        .gradient = gradient ? (REAL *)gradient + offset : NULL,
        .class_step = rows ? 1 : pixels,
        .pixel_step = rows ? classes : 1,
        .first = sample,
        .pixels = (int)(end - sample < most ? end - sample : most),
        .stride = most + NAME(PAD), /* else equal pixels of many classes share a cache set */
    };
}

/* Labels and weights of a block's pixels; how many count. */
TARGET static int NAME(read_labels)(
    const NAME(Plan) *plan, const NAME(Block) *block, NAME(Pixels) *at
) {
    const Loss *loss = plan->loss;
    const REAL *weight = loss->sample_weight;
    int count = 0;
    for (int p = 0; p < block->pixels; p++) {
        int64_t label = loss->target[block->first + p];
        int keep = NAME(counts)(loss, label);
        count += keep;
        at->keep[p] = (REAL)keep;
        at->label[p] = keep ? label : 0;
        at->by_label[p] = NAME(label_weight)(loss, at->label[p]);
        at->weight[p] = !keep ? 0 : weight ? weight[block->first + p] : 1;
    }
    return count;
}

/* The block's logits into the buffer, 0 where a pixel is not kept, and their maxima. */
TARGET static void NAME(read_logits)(
    const NAME(Block) *block, int64_t classes, REAL *buffer, REAL *restrict top, const REAL *keep
) {
    const int n = block->pixels;
    for (int64_t k = 0; k < classes; k++) {
        const REAL *restrict source = block->logits + k * block->class_step;
        REAL *restrict z = buffer + k * block->stride;
        if (block->pixel_step == 1)
            memcpy(z, source, n * sizeof(REAL));
        else
            for (int p = 0; p < n; p++)
                z[p] = source[p * block->pixel_step];
        if (keep)
#pragma omp simd
            for (int p = 0; p < n; p++)
                z[p] = keep[p] > 0 ? z[p] : (REAL)0;
        if (k == 0)
            memcpy(top, z, n * sizeof(REAL));
        else
#pragma omp simd
            for (int p = 0; p < n; p++)
                top[p] = z[p] > top[p] ? z[p] : top[p];
    }
}

/* exp(-d) into the buffer, and all sums over classes. */
TARGET static INLINE void NAME(sum_classes)(
    const NAME(Plan) *plan, const NAME(Block) *block, NAME(Pixels) *at, const int relu
) {
    const int n = block->pixels;
    const REAL margin = (REAL)plan->loss->margin, farthest = plan->farthest;
    const REAL *restrict top = at->top;
    REAL *restrict total = at->total, *restrict slopes = at->slopes, *restrict value = at->value;
    REAL *restrict ties = at->ties, *restrict violated = at->violated;
    for (int p = 0; p < n; p++)
        total[p] = slopes[p] = value[p] = ties[p] = violated[p] = 0;
    for (int64_t k = 0; k < plan->loss->classes; k++) {
        const REAL *restrict z = plan->z + k * block->stride;
        REAL *restrict e = plan->e + k * block->stride;
        const REAL lam = plan->lam[k], slope = plan->slope[k], cap = plan->cap[k];
#pragma omp simd
        for (int p = 0; p < n; p++) {
            REAL d = top[p] - z[p];
            REAL exponential = NAME(exp_of_minus)(d, farthest);
            e[p] = exponential;
            total[p] += exponential;
            REAL excess = d - margin;
            REAL q = excess < cap ? cap : excess;
            REAL derivative = NAME(derivative)(excess, q, cap, slope, relu);
            slopes[p] += derivative;
            value[p] += q * (lam + derivative);
            ties[p] += d == 0 ? (REAL)1 : (REAL)0;
            violated[p] += excess > 0 ? (REAL)1 : (REAL)0;
        }
    }
}

/* Adds up the pixels' losses, and prepares the factors of their gradients. */
TARGET static void NAME(finish_pixels)(
    const NAME(Plan) *plan, const NAME(Block) *block, NAME(Pixels) *at, Sums *sums
) {
    const Loss *loss = plan->loss;
    const int n = block->pixels;
    const REAL scale = (REAL)loss->entropy_scale, slope_scale = (REAL)loss->slope_scale;
    const REAL uniform_total = plan->uniform_total;
    double entropy = 0, penalty = 0, violated = 0;
    for (int p = 0; p < n; p++) {
        at->label_distance[p] = at->top[p] - plan->z[at->label[p] * block->stride + p];
        at->spread[p] = 0;
    }
    if (plan->uniform)
        for (int64_t k = 0; k < loss->classes; k++)
#pragma omp simd
            for (int p = 0; p < n; p++)
                at->spread[p] += plan->uniform[k] * (at->top[p] - plan->z[k * block->stride + p]);
#pragma omp simd reduction(+ : entropy, penalty, violated)
    for (int p = 0; p < n; p++) {
        REAL weights = at->by_label[p] + uniform_total, weight = at->weight[p];
        REAL own = weights * NAME(log_above)(at->total[p]) + at->spread[p];
        entropy += weight * (own + at->by_label[p] * at->label_distance[p]);
        penalty += at->keep[p] * at->value[p];
        violated += at->keep[p] * at->violated[p];
        at->factor[p] = weight * scale * weights / at->total[p];
        at->share[p] = at->slopes[p] * slope_scale / at->ties[p];
    }
    sums->entropy += entropy;
    sums->penalty += penalty;
    sums->violated += violated;
}

TARGET static INLINE void NAME(write_gradient)(
    const NAME(Plan) *plan, const NAME(Block) *block, const NAME(Pixels) *at, int masked,
    const int relu
) {
    const Loss *loss = plan->loss;
    const int n = block->pixels;
    const REAL margin = (REAL)loss->margin, scale = (REAL)loss->entropy_scale;
    for (int64_t k = 0; k < loss->classes; k++) {
        const REAL *restrict z = plan->z + k * block->stride;
        REAL *restrict g = plan->e + k * block->stride;
        REAL *restrict out = block->gradient + k * block->class_step;
        const REAL slope = plan->scaled_slope[k], cap = plan->cap[k];
#pragma omp simd
        for (int p = 0; p < n; p++) {
            REAL d = at->top[p] - z[p];
            REAL excess = d - margin;
            REAL q = excess < cap ? cap : excess;
            REAL derivative = NAME(derivative)(excess, q, cap, slope, relu);
            REAL own = g[p] * at->factor[p] - derivative;
            g[p] = own + (d == 0 ? at->share[p] : (REAL)0);
        }
        if (plan->uniform) {
            const REAL uniform = plan->uniform[k] * scale;
#pragma omp simd
            for (int p = 0; p < n; p++)
                g[p] -= at->weight[p] * uniform;
        }
        if (masked)
#pragma omp simd
            for (int p = 0; p < n; p++)
                g[p] = at->keep[p] > 0 ? g[p] : (REAL)0;
        if (block->pixel_step == 1 && out != g)
            memcpy(out, g, n * sizeof(REAL));
        for (int p = 0; p < n && block->pixel_step != 1; p++)
            out[p * block->pixel_step] = g[p];
    }
    for (int p = 0; p < n; p++) {
        REAL by_label = at->weight[p] * scale * at->by_label[p];
        block->gradient[at->label[p] * block->class_step + p * block->pixel_step] -= by_label;
    }
}

TARGET static INLINE void NAME(block)(
    const NAME(Plan) *plan, const NAME(Block) *block, Sums *sums, const int relu
) {
    NAME(Pixels) at;
    const int count = NAME(read_labels)(plan, block, &at);
    if (count == 0) {
        if (block->gradient)
            for (int64_t k = 0; k < plan->loss->classes; k++)
                for (int p = 0; p < block->pixels; p++)
                    block->gradient[k * block->class_step + p * block->pixel_step] = 0;
        return;
    }
    const int masked = count < block->pixels;
    NAME(read_logits)(block, plan->loss->classes, plan->z, at.top, masked ? at.keep : NULL);
    NAME(sum_classes)(plan, block, &at, relu);
    NAME(finish_pixels)(plan, block, &at, sums);
    if (block->gradient)
        NAME(write_gradient)(plan, block, &at, masked, relu);
}

TARGET static int NAME(prepare)(NAME(Plan) *plan, const Loss *loss, int64_t buffer) {
    const int64_t classes = loss->classes;
    const REAL *lam = loss->multipliers, *rho = loss->rho, *weight = loss->class_weight;
    const int64_t padded = NAME(padded)(classes);
    plan->memory = malloc((5 * padded + 2 * buffer) * sizeof(REAL) + 64);
    if (!plan->memory)
        return -1;
    REAL *next = (REAL *)(((uintptr_t)plan->memory + 63) / 64 * 64);
    plan->loss = loss;
    plan->lam = next;
    plan->cap = next + padded;
    plan->slope = next + 2 * padded;
    plan->scaled_slope = next + 3 * padded;
    plan->uniform = loss->smoothing > 0 ? next + 4 * padded : NULL;
    plan->z = next + 5 * padded;
    plan->e = plan->z + buffer;
    for (REAL *pad = next; pad < plan->z; pad += padded)
        memset(pad + classes, 0, (padded - classes) * sizeof(REAL));
    plan->uniform_total = 0;
    plan->farthest = FARTHEST;
    const REAL margin = (REAL)loss->margin, slope_scale = (REAL)loss->slope_scale;
#pragma omp simd
    for (int64_t k = 0; k < classes; k++) {
        REAL slope = loss->relu ? lam[k] : rho[k] / margin;
        plan->lam[k] = lam[k];
        plan->cap[k] = loss->relu ? (REAL)0 : -margin * lam[k] / rho[k];
        plan->slope[k] = slope;
        plan->scaled_slope[k] = slope * slope_scale;
    }
    if (plan->uniform) {
        double total = 0;
        for (int64_t k = 0; k < classes; k++) {
            plan->uniform[k] = (REAL)(loss->smoothing / classes * (weight ? weight[k] : 1));
            total += plan->uniform[k];
        }
        plan->uniform_total = (REAL)total;
    }
    return 0;
}

/* The samples of a tile. */
TARGET static INLINE void NAME(tile)(
    const NAME(Plan) *plan, int64_t sample, int64_t stop, int by_row, int most, Sums *sums,
    const int relu
) {
    const Loss *loss = plan->loss;
    while (sample < stop) {
        if (by_row) {
            NAME(row)(plan, sample++, sums, relu);
            continue;
        }
        NAME(Block) block = NAME(block_at)(
            loss->logits, loss->gradient, sample, stop, loss->classes, loss->pixels, loss->rows,
            most
        );
        NAME(block)(plan, &block, sums, relu);
        sample += block.pixels;
    }
}

TARGET static void NAME(loss)(const Loss *loss, Tiles *tiles, Sums *sums) {
    const int64_t classes = loss->classes;
    const int by_row = loss->rows && classes >= FEW_CLASSES;
    const int most = NAME(block_pixels)(classes);
    const int stride = most + NAME(PAD);
    NAME(Plan) plan;
    if (NAME(prepare)(&plan, loss, by_row ? NAME(padded)(classes) : classes * stride))
        return;
    int64_t sample, stop, number;
    while ((number = next_tile(tiles, &sample, &stop)) >= 0) {
        Sums own = {0, 0, 0}; /* not side by side with those of another thread */
        if (loss->relu)
            NAME(tile)(&plan, sample, stop, by_row, most, &own, 1);
        else
            NAME(tile)(&plan, sample, stop, by_row, most, &own, 0);
        own.penalty *= 0.5 / loss->margin; /* what was left out of every term */
        sums[number] = own;
    }
    free(plan.memory);
}
