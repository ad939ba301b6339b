/* The Python function of the calibration sums. */

static CalibrationKernel *float_calibration = calibration_float_plain;
static CalibrationKernel *double_calibration = calibration_double_plain;

/* Each tile has sums of its own, side by side in memory. */
typedef struct {
    CalibrationKernel *kernel;
    const Calibration *work;
    Tiles tiles;
    CalibrationSums first;
    double *square_totals;
    Counter failed;
} CalibrationJob;

static void work_on_calibration(void *job) {
    CalibrationJob *own = job;
    const int64_t classes = own->work->classes, cells = classes * own->work->bins;
    int64_t number, start, stop;
    while ((number = next_tile(&own->tiles, &start, &stop)) >= 0) {
        CalibrationSums sums = {
            own->first.class_total + number * classes,
            own->first.class_count + number * cells,
            own->first.class_probability + number * cells,
            0,
        };
        if (own->kernel(own->work, start, stop, &sums))
            own->failed = 1;
        own->square_totals[number] = sums.square_total;
    }
}

PyDoc_STRVAR(calibration_doc,
"calibration(threads, wide, *, samples, size, class_totals, class_counts, class_probabilities,\n"
"            square_totals, ...)\n\n"
"Adds up the probabilities of all samples, in tiles of `size` that have sums of their own, and\n"
"writes two of each of them.  The fields of `Calibration` in csrc/calibration.h are the other\n"
"keywords.");

static PyObject *calibration(PyObject *module, PyObject *args, PyObject *keywords) {
    static char *names[] = {
        "threads", "wide", "samples", "size", "class_totals", "class_counts",
        "class_probabilities", "square_totals", "logits", "target", "valid", "confidence",
        "of_label", "classes", "pixels", "rows", "bins", "first_bin_end", NULL};
    Calibration work;
    CalibrationJob job = {.work = &work, .failed = 0};
    long long samples, size, classes, pixels;
    unsigned long long logits, target, valid, confidence, of_label;
    unsigned long long class_total, class_count, class_probability, square_totals;
    int threads, wide;
    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "ip$LLKKKKKKKKKLLpid:calibration", names, &threads, &wide, &samples,
            &size, &class_total, &class_count, &class_probability, &square_totals, &logits,
            &target, &valid, &confidence, &of_label, &classes, &pixels, &work.rows, &work.bins,
            &work.first_bin_end))
        return NULL;
    work.logits = ADDRESS(logits);
    work.target = ADDRESS(target);
    work.valid = ADDRESS(valid);
    work.confidence = ADDRESS(confidence);
    work.of_label = ADDRESS(of_label);
    work.classes = classes;
    work.pixels = pixels;
    work.farthest = wide ? 708.0 : 87.0;
    job.kernel = wide ? double_calibration : float_calibration;
    job.tiles.samples = samples;
    job.tiles.size = size;
    job.tiles.count = (samples + size - 1) / size;
    job.tiles.next = 0;
    job.first.class_total = ADDRESS(class_total);
    job.first.class_count = ADDRESS(class_count);
    job.first.class_probability = ADDRESS(class_probability);
    job.square_totals = ADDRESS(square_totals);
    Py_BEGIN_ALLOW_THREADS
    work_on_threads(work_on_calibration, &job, job.tiles.count < 2 ? 1 : threads);
    Py_END_ALLOW_THREADS
    if (job.failed)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}
