/* The Python function of the penalty alone. */

static PenaltyKernel *float_penalty = penalty_float_plain;
static PenaltyKernel *double_penalty = penalty_double_plain;

typedef struct {
    PenaltyKernel *kernel;
    const Penalty *work;
    Tiles tiles;
    Sums *sums;
} PenaltyJob;

static void work_on_penalty(void *job) {
    PenaltyJob *own = job;
    own->kernel(own->work, &own->tiles, own->sums);
}

PyDoc_STRVAR(penalty_doc,
"penalty(threads, wide, *, samples, ...) -> (penalty, violated)\n\n"
"Sums over all samples, not scaled; writes their gradient unless its address is 0.  The fields of\n"
"`Loss` and `Penalty` in csrc/ are the other keywords.");

static PyObject *penalty(PyObject *module, PyObject *args, PyObject *keywords) {
    static char *names[] = {
        "threads", "wide", "samples", "logits", "gradient", "mask", "multipliers", "rho",
        "classes", "pixels", "rows", "relu", "margin", "slope_scale", NULL};
    Penalty work = {.loss = {.target = NULL}};
    Loss *loss = &work.loss;
    long long samples, classes, pixels;
    unsigned long long logits, gradient, mask, multipliers, rho;
    int threads, wide;
    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "ip$LKKKKKLLppdd:penalty", names, &threads, &wide, &samples, &logits,
            &gradient, &mask, &multipliers, &rho, &classes, &pixels, &loss->rows, &loss->relu,
            &loss->margin, &loss->slope_scale))
        return NULL;
    loss->logits = ADDRESS(logits);
    loss->gradient = ADDRESS(gradient);
    loss->multipliers = ADDRESS(multipliers);
    loss->rho = ADDRESS(rho);
    loss->classes = classes;
    loss->pixels = pixels;
    work.mask = ADDRESS(mask);
    PenaltyJob job = {wide ? double_penalty : float_penalty, &work,
                      tiles_of(samples, loss, wide), NULL};
    job.sums = malloc((size_t)job.tiles.count * sizeof(Sums));
    if (!job.sums)
        return PyErr_NoMemory();
    Sums whole = {0, 0, 0};
    int missing;
    Py_BEGIN_ALLOW_THREADS
    work_on_threads(work_on_penalty, &job, job.tiles.count < FEW_TILES ? 1 : threads);
    missing = job.tiles.next < job.tiles.count;
    for (int64_t i = 0; i < job.tiles.count && !missing; i++) {
        whole.penalty += job.sums[i].penalty;
        whole.violated += job.sums[i].violated;
    }
    free(job.sums);
    Py_END_ALLOW_THREADS
    if (missing)
        return PyErr_NoMemory();
    return Py_BuildValue("dd", whole.penalty, whole.violated);
}
