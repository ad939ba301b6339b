/* The Python function of the calibration sums. */

static CalibrationKernel *float_calibration = calibration_float_plain;
static CalibrationKernel *double_calibration = calibration_double_plain;

/* Each tile has sums of its own, side by side in memory. */
typedef struct {
    CalibrationKernel *kernel;
    const Calibration *work;
    Tiles tiles;
    int64_t *counts;          /* `count_size` of each tile, as CalibrationStatistics.pack */
    double *sums, *per_class; /* `sum_size`, and 3 for each class */
    int64_t count_size, sum_size;
    Counter failed, strange;
} CalibrationJob;

static CalibrationSums sums_of_tile(const CalibrationJob *job, int64_t number) {
    const int64_t bins = job->work->bins, cells = job->work->cells, classes = job->work->classes;
    int64_t *count = job->counts + number * job->count_size;
    double *sum = job->sums + number * job->sum_size;
    double *per_class = job->per_class + number * 3 * classes;
    CalibrationSums sums;
    sums.bin_count = count;
    sums.bin_correct = sums.bin_count + bins;
    sums.cell_count = sums.bin_correct + bins;
    sums.cell_correct = sums.cell_count + cells;
    sums.class_count = sums.cell_correct + cells;
    sums.class_positive = sums.class_count + classes * bins;
    sums.class_correct = sums.class_positive + classes * bins;
    sums.nonfinite = sums.class_correct + classes;
    sums.bin_confidence = sum;
    sums.cell_confidence = sums.bin_confidence + bins;
    sums.class_probability = sums.cell_confidence + cells;
    sums.likelihood = sums.class_probability + classes * bins;
    sums.brier = sums.likelihood + 1;
    sums.class_total = per_class;
    sums.slope = per_class + classes;
    sums.excess = per_class + 2 * classes;
    sums.strange = 0;
    return sums;
}

static void work_on_calibration(void *job) {
    CalibrationJob *own = job;
    int64_t number, start, stop;
    while ((number = next_tile(&own->tiles, &start, &stop)) >= 0) {
        CalibrationSums sums = sums_of_tile(own, number);
        if (own->kernel(own->work, start, stop, &sums))
            own->failed = 1;
        if (sums.strange)
            own->strange = 1;
    }
}

PyDoc_STRVAR(calibration_doc,
"calibration(threads, wide, *, samples, size, counts, sums, per_class, ...) -> strange\n\n"
"Adds up all samples, in tiles of `size` that have sums of their own, and tells whether a label was\n"
"no class.  Counts and sums of a tile lie as CalibrationStatistics.pack puts them; `per_class` are\n"
"the sums of probability, of the penalty's derivative and of d - m.  The fields of `Calibration` in\n"
"csrc/calibration.h are the other keywords.");

static PyObject *calibration(PyObject *module, PyObject *args, PyObject *keywords) {
    static char *names[] = {
        "threads", "wide", "samples", "size", "counts", "sums", "per_class", "logits", "intercept",
        "gradient", "target", "classes", "pixels", "ignore_index", "rows", "ignores", "relu", "bins",
        "margin", "low", "high", "first_bin_end", "cells", "cell_first", "cell_shift", NULL};
    Calibration work;
    CalibrationJob job = {.work = &work, .failed = 0, .strange = 0};
    long long samples, size, classes, pixels, ignore_index, cells, cell_first;
    unsigned long long counts, sums, per_class, logits, intercept, gradient, target;
    int threads, wide;
    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "ip$LLKKKKKKKLLLpppiddddLLi:calibration", names, &threads, &wide,
            &samples, &size, &counts, &sums, &per_class, &logits, &intercept, &gradient, &target,
            &classes, &pixels, &ignore_index, &work.rows, &work.ignores, &work.relu, &work.bins,
            &work.margin, &work.low, &work.high, &work.first_bin_end, &cells, &cell_first,
            &work.cell_shift))
        return NULL;
    work.logits = ADDRESS(logits);
    work.intercept = ADDRESS(intercept);
    work.gradient = ADDRESS(gradient);
    work.target = ADDRESS(target);
    work.classes = classes;
    work.pixels = pixels;
    work.ignore_index = ignore_index;
    work.cells = cells;
    work.cell_first = cell_first;
    work.farthest = wide ? 708.0 : 87.0;
    job.kernel = wide ? double_calibration : float_calibration;
    job.counts = ADDRESS(counts);
    job.sums = ADDRESS(sums);
    job.per_class = ADDRESS(per_class);
    job.count_size = 2 * (work.bins + cells) + classes * (2 * work.bins + 1) + 1;
    job.sum_size = work.bins + cells + classes * work.bins + 2;
    job.tiles.samples = samples;
    job.tiles.size = size;
    job.tiles.count = (samples + size - 1) / size;
    job.tiles.next = 0;
    Py_BEGIN_ALLOW_THREADS
    work_on_threads(work_on_calibration, &job, job.tiles.count < 2 ? 1 : threads);
    Py_END_ALLOW_THREADS
    if (job.failed)
        return PyErr_NoMemory();
    return PyBool_FromLong(job.strange != 0);
}
