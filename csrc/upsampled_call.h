/* The Python function of the loss of enlarged logits. */

static UpsampledKernel *float_upsampled = upsampled_float_plain;
static UpsampledKernel *double_upsampled = upsampled_double_plain;

/* Bands of all images together, and the fewest source rows of one.  By the data alone, as tiles. */
enum { BANDS = 64, FEW_ROWS = 4 };

typedef struct {
    UpsampledKernel *kernel;
    const Upsampled *work;
    Tiles bands;
    UpsampledSums *sums;
} UpsampledJob;

static void work_on_upsampled(void *job) {
    UpsampledJob *own = job;
    own->kernel(own->work, &own->bands, own->sums);
}

/* Chooses the bands. */
static void choose_bands(Upsampled *work) {
    const int64_t rows = work->rows.source, wished = (BANDS + work->images - 1) / work->images;
    const int64_t fitting = (rows + wished - 1) / wished;
    work->band = fitting < FEW_ROWS ? FEW_ROWS : fitting;
    work->bands = (rows + work->band - 1) / work->band;
}

/* The sums of all bands in their order; 0, or -1 without memory. */
static int whole_upsampled(Upsampled *work, int wide, int threads, UpsampledSums *whole) {
    choose_bands(work);
    const int64_t count = work->images * work->bands;
    const int64_t logits = work->images * work->loss.pixels * work->loss.classes;
    const int64_t carried = (count - work->images) * work->loss.classes * work->columns.source;
    UpsampledJob job = {wide ? double_upsampled : float_upsampled, work,
                        {.samples = count, .size = 1, .count = count}, NULL};
    job.sums = malloc((size_t)count * sizeof(UpsampledSums));
    work->carry = malloc((size_t)carried * (wide ? sizeof(double) : sizeof(float)) + 1);
    int missing = !job.sums || !work->carry;
    if (!missing) {
        work_on_threads(work_on_upsampled, &job, logits < FEW_TILES * FEW_LOGITS ? 1 : threads);
        missing = job.bands.next < count;
    }
    *whole = (UpsampledSums){{0, 0, 0}, 0};
    for (int64_t i = 0; i < count && !missing; i++) {
        whole->loss.entropy += job.sums[i].loss.entropy;
        whole->loss.penalty += job.sums[i].loss.penalty;
        whole->loss.violated += job.sums[i].loss.violated;
        whole->correct += job.sums[i].correct;
    }
    if (!missing && work->loss.gradient)
        (wide ? carry_over_double_plain : carry_over_float_plain)(work);
    free(job.sums);
    free(work->carry);
    return missing ? -1 : 0;
}

PyDoc_STRVAR(upsampled_doc,
"upsampled(threads, wide, *, ...) -> (entropy, penalty, violated, correct)\n\n"
"Sums over all labels of the loss of logits enlarged to their size; writes the gradient by the\n"
"logits unless its address is 0.  The keywords are the fields of `Loss` and `Upsampled` in csrc/.");

static PyObject *upsampled(PyObject *module, PyObject *args, PyObject *keywords) {
    static char *names[] = {
        "threads", "wide", "logits", "gradient", "target", "sample_weight", "class_weight",
        "multipliers", "rho", "images", "classes", "height", "width", "out_height", "out_width",
        "row_from", "row_share", "column_from", "column_share", "ignores", "relu", "ignore_index",
        "margin", "smoothing", "entropy_scale", "slope_scale", NULL};
    Upsampled work = {.carry = NULL};
    Loss *loss = &work.loss;
    long long images, classes, height, width, out_height, out_width, ignore_index;
    unsigned long long logits, gradient, target, sample_weight, class_weight, multipliers, rho;
    unsigned long long row_from, row_share, column_from, column_share;
    int threads, wide;
    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "ip$KKKKKKKLLLLLLKKKKppLdddd:upsampled", names, &threads, &wide,
            &logits, &gradient, &target, &sample_weight, &class_weight, &multipliers, &rho,
            &images, &classes, &height, &width, &out_height, &out_width, &row_from, &row_share,
            &column_from, &column_share, &loss->ignores, &loss->relu, &ignore_index,
            &loss->margin, &loss->smoothing, &loss->entropy_scale, &loss->slope_scale))
        return NULL;
    loss->logits = ADDRESS(logits);
    loss->gradient = ADDRESS(gradient);
    loss->target = ADDRESS(target);
    loss->sample_weight = ADDRESS(sample_weight);
    loss->class_weight = ADDRESS(class_weight);
    loss->multipliers = ADDRESS(multipliers);
    loss->rho = ADDRESS(rho);
    loss->classes = classes;
    loss->pixels = out_height * out_width;
    loss->rows = 0;
    loss->ignore_index = ignore_index;
    work.images = images;
    work.rows = (Axis){height, out_height, ADDRESS(row_from), ADDRESS(row_share)};
    work.columns = (Axis){width, out_width, ADDRESS(column_from), ADDRESS(column_share)};
    UpsampledSums sums;
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = whole_upsampled(&work, wide, threads, &sums);
    Py_END_ALLOW_THREADS
    if (failed)
        return PyErr_NoMemory();
    return Py_BuildValue("dddL", sums.loss.entropy, sums.loss.penalty, sums.loss.violated,
                         (long long)sums.correct);
}
