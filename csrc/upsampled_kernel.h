/* The loss of logits between whose rows and columns a bilinear interpolation fills in the pixels.
   A template, as real_math.h; the loss itself is that of loss_kernel.h.

   A band of source rows is done in strips of columns.  For each source row its strip is filled in
   along the row once; an output row between two of them is a mix of both, made in a buffer that
   stays in the nearest cache, where the loss turns it into its gradient.  Back it goes the same
   way: into one strip for each of the two rows, and from there, once per source row, into the
   gradient.  The row behind a band is another band's: what belongs there is carried over later. */

/* Memory of a thread.  Strips are (class, column) with the step of a block. */
typedef struct {
    NAME(Plan) plan;
    const Upsampled *work;
    REAL *above, *below;         /* the two source rows */
    REAL *to_above, *to_below;   /* their gradients */
    int64_t image, start, count; /* of the strip: its first output column, and how many */
    int stride;
} NAME(Strip);

/* Columns of a strip: six buffers of it lie in the second cache. */
static int NAME(strip_columns)(int64_t classes) {
    const int64_t fitting = 393216 / (int64_t)(6 * sizeof(REAL)) / classes / 16 * 16;
    return fitting < 16 ? 16 : fitting > NAME(MAX_PIXELS) ? NAME(MAX_PIXELS) : (int)fitting;
}

/* The strip of a source row, filled in. */
TARGET static void NAME(fill_row)(const NAME(Strip) *strip, int64_t row, REAL *filled) {
    const Upsampled *work = strip->work;
    const int64_t source = work->columns.source, classes = work->loss.classes;
    const int32_t last = (int32_t)source - 1;
    const int32_t *restrict from = work->columns.from + strip->start;
    const REAL *restrict share = (const REAL *)work->columns.share + strip->start;
    const REAL *logits = work->loss.logits;
    for (int64_t k = 0; k < classes; k++) {
        const int64_t line = (strip->image * classes + k) * work->rows.source + row;
        const REAL *restrict in = logits + line * source;
        REAL *restrict out = filled + k * strip->stride;
#pragma omp simd
        for (int64_t p = 0; p < strip->count; p++) {
            const REAL left = in[from[p]], right = in[from[p] < last ? from[p] + 1 : last];
            out[p] = left + share[p] * (right - left);
        }
    }
}

/* The transpose of fill_row: adds to lines that lie `step` apart, one for each class. */
TARGET static void NAME(empty_row)(
    const NAME(Strip) *strip, const REAL *filled, REAL *lines, int64_t step
) {
    enum { TOGETHER = 8 }; /* sums that do not wait for each other */
    const Upsampled *work = strip->work;
    const int64_t classes = work->loss.classes, count = strip->count, last = work->columns.source - 1;
    const int32_t *restrict from = work->columns.from + strip->start;
    const REAL *restrict share = (const REAL *)work->columns.share + strip->start;
    for (int64_t first = 0; first < classes; first += TOGETHER) {
        const int64_t several = classes - first < TOGETHER ? classes - first : TOGETHER;
        const REAL *restrict in = filled + first * strip->stride;
        REAL *restrict out = lines + first * step;
        for (int64_t p = 0; p < count;) {
            const int64_t column = from[p], next = column < last ? column + 1 : last;
            REAL all[TOGETHER] = {0}, right[TOGETHER] = {0};
            for (; p < count && from[p] == column; p++)
                for (int64_t k = 0; k < TOGETHER; k++) {
                    const REAL value = in[(k < several ? k : 0) * strip->stride + p];
                    all[k] += value;
                    right[k] += share[p] * value;
                }
            for (int64_t k = 0; k < several; k++) {
                out[k * step + column] += all[k] - right[k];
                out[k * step + next] += right[k];
            }
        }
    }
}

/* The logits of an output row into the plan's buffer, 0 where a pixel is not kept; their maxima. */
TARGET static void NAME(mix_rows)(const NAME(Strip) *strip, REAL share, NAME(Pixels) *at, int masked) {
    const int n = (int)strip->count;
    REAL *restrict top = at->top;
    for (int64_t k = 0; k < strip->work->loss.classes; k++) {
        const REAL *restrict above = strip->above + k * strip->stride;
        const REAL *restrict below = strip->below + k * strip->stride;
        REAL *restrict z = strip->plan.z + k * strip->stride;
        if (k == 0)
            for (int p = 0; p < n; p++)
                top[p] = above[p] + share * (below[p] - above[p]);
#pragma omp simd
        for (int p = 0; p < n; p++) {
            z[p] = above[p] + share * (below[p] - above[p]);
            top[p] = z[p] > top[p] ? z[p] : top[p];
        }
    }
    if (!masked)
        return;
    for (int64_t k = 0; k < strip->work->loss.classes; k++) {
        REAL *restrict z = strip->plan.z + k * strip->stride;
#pragma omp simd
        for (int p = 0; p < n; p++)
            z[p] = at->keep[p] > 0 ? z[p] : (REAL)0;
    }
    for (int p = 0; p < n; p++)
        top[p] = at->keep[p] > 0 ? top[p] : (REAL)0;
}

/* The transpose of mix_rows. */
TARGET static void NAME(part_rows)(const NAME(Strip) *strip, REAL share) {
    const int n = (int)strip->count;
    for (int64_t k = 0; k < strip->work->loss.classes; k++) {
        const REAL *restrict gradient = strip->plan.e + k * strip->stride;
        REAL *restrict above = strip->to_above + k * strip->stride;
        REAL *restrict below = strip->to_below + k * strip->stride;
#pragma omp simd
        for (int p = 0; p < n; p++) {
            const REAL lower = share * gradient[p];
            above[p] += gradient[p] - lower;
            below[p] += lower;
        }
    }
}

/* Pixels whose label has the largest logit, the first of equal ones. */
TARGET static int64_t NAME(count_correct)(const NAME(Strip) *strip, const NAME(Pixels) *at) {
    int64_t correct = 0;
    for (int64_t p = 0; p < strip->count; p++) {
        int first = at->keep[p] > 0 && at->label_distance[p] == 0;
        if (first && at->ties[p] > 1)
            for (int64_t k = 0; k < at->label[p]; k++)
                first &= strip->plan.z[k * strip->stride + p] != at->top[p];
        correct += first;
    }
    return correct;
}

/* The strip of one output row between the two source rows; whether any pixel counts. */
TARGET static INLINE int NAME(output_row)(
    const NAME(Strip) *strip, int64_t row, UpsampledSums *sums, const int relu
) {
    const Upsampled *work = strip->work;
    const REAL share = ((const REAL *)work->rows.share)[row];
    NAME(Pixels) at;
    NAME(Block) block = {
        .gradient = work->loss.gradient ? strip->plan.e : NULL,
        .class_step = strip->stride,
        .pixel_step = 1,
        .first = (strip->image * work->rows.output + row) * work->columns.output + strip->start,
        .pixels = (int)strip->count,
        .stride = strip->stride,
    };
    const int count = NAME(read_labels)(&strip->plan, &block, &at);
    if (count == 0)
        return 0;
    const int masked = count < block.pixels;
    NAME(mix_rows)(strip, share, &at, masked);
    NAME(sum_classes)(&strip->plan, &block, &at, relu);
    NAME(finish_pixels)(&strip->plan, &block, &at, &sums->loss);
    sums->correct += NAME(count_correct)(strip, &at);
    if (block.gradient) {
        NAME(write_gradient)(&strip->plan, &block, &at, masked, relu);
        NAME(part_rows)(strip, share);
    }
    return 1;
}

static void NAME(swap)(REAL **a, REAL **b) {
    REAL *kept = *a;
    *a = *b;
    *b = kept;
}

/* The strip of all output rows that begin in source rows [first, end). */
TARGET static INLINE void NAME(strip)(
    NAME(Strip) *strip, int64_t first, int64_t end, REAL *carry, UpsampledSums *sums, const int relu
) {
    const Upsampled *work = strip->work;
    const Axis *rows = &work->rows;
    const int64_t plane = rows->source * work->columns.source, last = rows->source - 1;
    const size_t size = work->loss.classes * strip->stride * sizeof(REAL);
    REAL *gradient = work->loss.gradient;
    if (gradient)
        gradient += strip->image * work->loss.classes * plane;
    int64_t output = 0, filled = -1; /* the source row that `below` holds */
    int pending = 0;                 /* whether `to_below` holds something */
    while (output < rows->output && rows->from[output] < first)
        output++;
    for (int64_t row = first; row < end; row++) {
        int any = pending;
        NAME(swap)(&strip->to_above, &strip->to_below);
        if (gradient && !pending)
            memset(strip->to_above, 0, size);
        pending = 0;
        if (output < rows->output && rows->from[output] == row) {
            NAME(swap)(&strip->above, &strip->below);
            if (filled != row)
                NAME(fill_row)(strip, row, strip->above);
            filled = row < last ? row + 1 : last;
            NAME(fill_row)(strip, filled, strip->below);
            if (gradient)
                memset(strip->to_below, 0, size);
            for (; output < rows->output && rows->from[output] == row; output++)
                pending |= NAME(output_row)(strip, output, sums, relu);
        }
        if (gradient && (any || pending))
            NAME(empty_row)(strip, strip->to_above, gradient + row * work->columns.source, plane);
    }
    if (gradient && pending && carry)
        NAME(empty_row)(strip, strip->to_below, carry, work->columns.source);
}

/* A band: its gradient begins at 0, and each strip adds to it. */
TARGET static void NAME(band)(NAME(Strip) *strip, int64_t number, int most, UpsampledSums *sums) {
    const Upsampled *work = strip->work;
    const int64_t classes = work->loss.classes, width = work->columns.source;
    const int64_t height = work->rows.source, band = number % work->bands;
    const int64_t first = band * work->band;
    const int64_t end = band + 1 < work->bands ? first + work->band : height;
    REAL *carry = NULL;
    strip->image = number / work->bands;
    if (work->loss.gradient) {
        for (int64_t k = 0; k < classes; k++) {
            const int64_t line = (strip->image * classes + k) * height + first;
            memset((REAL *)work->loss.gradient + line * width, 0, (end - first) * width * sizeof(REAL));
        }
        if (end < height) {
            carry = (REAL *)work->carry + (number - strip->image) * classes * width;
            memset(carry, 0, classes * width * sizeof(REAL));
        }
    }
    for (int64_t start = 0; start < work->columns.output; start += most) {
        const int64_t left = work->columns.output - start;
        strip->start = start;
        strip->count = left < most ? left : most;
        if (work->loss.relu)
            NAME(strip)(strip, first, end, carry, sums, 1);
        else
            NAME(strip)(strip, first, end, carry, sums, 0);
    }
    sums->loss.penalty *= 0.5 / work->loss.margin; /* what was left out of every term */
}

TARGET static void NAME(upsampled)(const Upsampled *work, Tiles *bands, UpsampledSums *sums) {
    const int64_t classes = work->loss.classes;
    const int most = NAME(strip_columns)(classes);
    NAME(Strip) strip = {.work = work, .stride = most + NAME(PAD)};
    const int64_t buffer = classes * strip.stride;
    if (NAME(prepare)(&strip.plan, &work->loss, 3 * buffer))
        return;
    strip.above = strip.plan.z + buffer;
    strip.below = strip.above + buffer;
    strip.to_above = strip.plan.e + buffer;
    strip.to_below = strip.to_above + buffer;
    int64_t number, start, stop;
    while ((number = next_tile(bands, &start, &stop)) >= 0) {
        UpsampledSums own = {{0, 0, 0}, 0}; /* not side by side with those of another thread */
        NAME(band)(&strip, number, most, &own);
        sums[number] = own;
    }
    free(strip.plan.memory);
}

/* Adds what the bands have for the row behind them; to be called when all are done. */
static INLINE void NAME(carry_over)(const Upsampled *work) {
    const int64_t classes = work->loss.classes, width = work->columns.source;
    const int64_t plane = work->rows.source * width;
    const REAL *restrict carry = work->carry;
    for (int64_t image = 0; image < work->images; image++)
        for (int64_t band = 1; band < work->bands; band++) {
            REAL *gradient = (REAL *)work->loss.gradient + image * classes * plane;
            gradient += band * work->band * width;
            for (int64_t k = 0; k < classes; k++, carry += width)
                for (int64_t x = 0; x < width; x++)
                    gradient[k * plane + x] += carry[x];
        }
}
