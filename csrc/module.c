/* The Python module: addresses and numbers in, sums out.  What calls it checks its arguments. */

#include <Python.h>

#include "dispatch.h"

static LossKernel *float_loss = loss_float_plain, *double_loss = loss_double_plain;
static const char *instruction_set = "plain";

#define ADDRESS(name) (void *)(uintptr_t)(name)

/* Logits of a tile: at least FEW_LOGITS, at most MANY_LOGITS, and in between so that there are
   TILES tiles.  By the data alone, so that the sums are the same on any number of threads. */
enum { FEW_LOGITS = 1 << 14, MANY_LOGITS = 1 << 18, TILES = 64 };
/* Fewer tiles are done before other threads have begun. */
enum { FEW_TILES = 4 };

static Tiles tiles_of(int64_t samples, const Loss *loss, int wide) {
    const int64_t classes = loss->classes, wished = samples * classes / TILES;
    const int64_t logits = wished < FEW_LOGITS ? FEW_LOGITS :
                           wished > MANY_LOGITS ? MANY_LOGITS : wished;
    /* Whole blocks, whatever the instruction set. */
    const int64_t step = loss->rows && classes >= FEW_CLASSES ? 1 :
                         wide ? block_pixels_double_plain(classes) :
                         block_pixels_float_plain(classes);
    const int64_t size = (logits / classes + step - 1) / step * step;
    Tiles tiles = {.samples = samples, .size = size > step ? size : step};
    tiles.count = (samples + tiles.size - 1) / tiles.size;
    return tiles;
}

typedef struct {
    LossKernel *kernel;
    const Loss *loss;
    Tiles tiles;
    Sums *sums;
} LossJob;

static void work_on_loss(void *job) {
    LossJob *own = job;
    own->kernel(own->loss, &own->tiles, own->sums);
}

/* The sums of all tiles in their order; 0, or -1 without memory. */
static int whole_loss(const Loss *loss, int64_t samples, int wide, int threads, Sums *whole) {
    LossJob job = {wide ? double_loss : float_loss, loss, tiles_of(samples, loss, wide), NULL};
    job.sums = malloc((size_t)job.tiles.count * sizeof(Sums));
    if (!job.sums)
        return -1;
    /* All threads or none: to change their number costs the runtime more than to wake them. */
    work_on_threads(work_on_loss, &job, job.tiles.count < FEW_TILES ? 1 : threads);
    const int missing = job.tiles.next < job.tiles.count;
    *whole = (Sums){0, 0, 0};
    for (int64_t i = 0; i < job.tiles.count && !missing; i++) {
        whole->entropy += job.sums[i].entropy;
        whole->penalty += job.sums[i].penalty;
        whole->violated += job.sums[i].violated;
    }
    free(job.sums);
    return missing ? -1 : 0;
}

/* What the labels say of a loss. */
typedef struct {
    int64_t count, bad; /* valid labels; the first that is neither a class nor ignored, or -1 */
    double weight;      /* sum of their class weights, 0 without weights */
} Labels;

static Labels read_all_labels(
    const int64_t *labels, int64_t samples, int64_t classes, int ignores, int64_t ignore_index,
    const void *class_weight, int wide
) {
    const float *narrow_weight = class_weight;
    const double *wide_weight = class_weight;
    int64_t count = 0, wrong = 0, bad = -1;
    double weight = 0;
#pragma omp simd reduction(+ : count, wrong)
    for (int64_t i = 0; i < samples; i++) {
        int64_t counts = !ignores | (labels[i] != ignore_index);
        count += counts;
        wrong += counts & ((uint64_t)labels[i] >= (uint64_t)classes);
    }
    for (int64_t i = 0; wrong && bad < 0; i++)
        if (!(ignores && labels[i] == ignore_index) && (uint64_t)labels[i] >= (uint64_t)classes)
            bad = i;
    if (class_weight && !wrong)
        for (int64_t i = 0; i < samples; i++)
            if (!(ignores && labels[i] == ignore_index))
                weight += wide ? wide_weight[labels[i]] : narrow_weight[labels[i]];
    return (Labels){count, bad, weight};
}

static double inverse(double divisor) { return divisor > 0 ? 1 / divisor : 0; }

PyDoc_STRVAR(loss_doc,
"loss(samples, threads, wide, logits, gradient, target, sample_weight, class_weight, multipliers,\n"
"     rho, classes, pixels, rows, ignores, relu, ignore_index, margin, smoothing, avg_factor,\n"
"     sum_over_classes, penalty_weight) -> (entropy, penalty, violated, bad)\n\n"
"Means, see `_normalisation.prepare` for their divisors, and the share of violated constraints;\n"
"writes the gradient unless its address is 0.  Addresses are those of dense memory; `avg_factor` is\n"
"-inf for None.  Nothing is computed if `bad`, the place of a label out of range, is not -1.");

static PyObject *loss(PyObject *module, PyObject *args) {
    Loss loss;
    long long samples, classes, pixels, ignore_index;
    unsigned long long logits, gradient, target, sample_weight, class_weight, multipliers, rho;
    int threads, wide, sum_over_classes;
    double avg_factor, penalty_weight;
    if (!PyArg_ParseTuple(
            args, "LipKKKKKKKLLpppLdddpd:loss", &samples, &threads, &wide, &logits, &gradient,
            &target, &sample_weight, &class_weight, &multipliers, &rho, &classes, &pixels,
            &loss.rows, &loss.ignores, &loss.relu, &ignore_index, &loss.margin, &loss.smoothing,
            &avg_factor, &sum_over_classes, &penalty_weight))
        return NULL;
    loss.logits = ADDRESS(logits);
    loss.gradient = ADDRESS(gradient);
    loss.target = ADDRESS(target);
    loss.sample_weight = ADDRESS(sample_weight);
    loss.class_weight = ADDRESS(class_weight);
    loss.multipliers = ADDRESS(multipliers);
    loss.rho = ADDRESS(rho);
    loss.classes = classes;
    loss.pixels = pixels;
    loss.ignore_index = ignore_index;
    Sums sums = {0, 0, 0};
    int failed = 0;
    double penalty_scale, share;
    Labels labels;
    Py_BEGIN_ALLOW_THREADS
    labels = read_all_labels(
        loss.target, samples, classes, loss.ignores, ignore_index, loss.class_weight, wide
    );
    share = inverse((double)labels.count) / classes;
    penalty_scale = sum_over_classes ? share * classes : share;
    loss.entropy_scale = inverse(
        avg_factor != -INFINITY ? avg_factor : loss.class_weight ? labels.weight : (double)labels.count
    );
    loss.slope_scale = penalty_weight * penalty_scale / loss.margin;
    if (labels.bad < 0)
        failed = whole_loss(&loss, samples, wide, threads, &sums);
    Py_END_ALLOW_THREADS
    if (failed)
        return PyErr_NoMemory();
    return Py_BuildValue("dddL", sums.entropy * loss.entropy_scale, sums.penalty * penalty_scale,
                         sums.violated * share, (long long)labels.bad);
}

#include "penalty_call.h"
#include "upsampled_call.h"

PyDoc_STRVAR(shares_threads_doc,
"shares_threads() -> bool\n\n"
"Whether torch's threads were found; without them the kernels run on the calling thread.");

static PyObject *shares_threads(PyObject *module, PyObject *unused) {
    return PyBool_FromLong(find_threads());
}

PyDoc_STRVAR(variable_doc,
"variable(name) -> str | None\n\n"
"os.environ.get(name), in a small part of its time.");

static PyObject *variable(PyObject *module, PyObject *args) {
    const char *name, *value;
    if (!PyArg_ParseTuple(args, "s:variable", &name))
        return NULL;
    value = getenv(name);
    if (!value)
        Py_RETURN_NONE;
    return PyUnicode_DecodeFSDefault(value);
}

PyDoc_STRVAR(read_labels_doc,
"read_labels(target, samples, classes, ignores, ignore_index, class_weight, wide)\n"
"-> (count, weight, bad)\n\n"
"Labels that count, the sum of their class weights, and where the first lies that is neither a\n"
"class nor ignored, or -1.");

static PyObject *read_labels(PyObject *module, PyObject *args) {
    unsigned long long target, class_weight;
    long long samples, classes, ignore_index;
    int ignores, wide;
    if (!PyArg_ParseTuple(args, "KLLpLKp:read_labels", &target, &samples, &classes, &ignores,
                          &ignore_index, &class_weight, &wide))
        return NULL;
    Labels labels;
    Py_BEGIN_ALLOW_THREADS
    labels = read_all_labels(
        ADDRESS(target), samples, classes, ignores, ignore_index, ADDRESS(class_weight), wide
    );
    Py_END_ALLOW_THREADS
    return Py_BuildValue("LdL", (long long)labels.count, labels.weight, (long long)labels.bad);
}

#include "calibration_call.h"

static PyMethodDef methods[] = {
    {"loss", loss, METH_VARARGS, loss_doc},
    {"calibration", (PyCFunction)(void (*)(void))calibration, METH_VARARGS | METH_KEYWORDS,
     calibration_doc},
    {"penalty", (PyCFunction)(void (*)(void))penalty, METH_VARARGS | METH_KEYWORDS, penalty_doc},
    {"upsampled", (PyCFunction)(void (*)(void))upsampled, METH_VARARGS | METH_KEYWORDS,
     upsampled_doc},
    {"shares_threads", shares_threads, METH_NOARGS, shares_threads_doc},
    {"variable", variable, METH_VARARGS, variable_doc},
    {"read_labels", read_labels, METH_VARARGS, read_labels_doc},
    {NULL, NULL, 0, NULL},
};

static int start_module(PyObject *module) {
#if HAS_SETS
    if (has_avx512()) {
        float_loss = loss_float_avx512;
        double_loss = loss_double_avx512;
        float_penalty = penalty_float_avx512;
        double_penalty = penalty_double_avx512;
        float_upsampled = upsampled_float_avx512;
        double_upsampled = upsampled_double_avx512;
        float_calibration = calibration_float_avx512;
        double_calibration = calibration_double_avx512;
        instruction_set = "avx512";
    } else if (has_avx2()) {
        float_loss = loss_float_avx2;
        double_loss = loss_double_avx2;
        float_penalty = penalty_float_avx2;
        double_penalty = penalty_double_avx2;
        float_upsampled = upsampled_float_avx2;
        double_upsampled = upsampled_double_avx2;
        float_calibration = calibration_float_avx2;
        double_calibration = calibration_double_avx2;
        instruction_set = "avx2";
    }
#endif
    return PyModule_AddStringConstant(module, "instruction_set", instruction_set);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, start_module}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Compiled kernels of the loss.", 0, methods, slots,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&definition);
}
