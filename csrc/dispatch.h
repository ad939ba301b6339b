/* The kernels for every instruction set, and the choice among them when the program runs. */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "loss.h"
#include "penalty.h"
#include "upsampled.h"

#define PASTE(a, b) a##_##b
#define JOIN(a, b) PASTE(a, b)

#if defined(__GNUC__)
#define INLINE inline __attribute__((always_inline))
#else
#define INLINE inline
#endif

/* Terms that are added in the type of the arithmetic before a double takes over. */
#define LONG_SUM 512
/* Rows of fewer classes are turned, so that vectors run over samples. */
#define FEW_CLASSES 64

#if defined(__GNUC__) && defined(__x86_64__)
#define HAS_SETS 1
#define SET avx512
#define TARGET                                                                             \
    __attribute__((target("avx2,fma,bmi2,avx512f,avx512dq,avx512bw,avx512vl" WIDE_VECTORS)))
#if defined(__clang__)
#define WIDE_VECTORS
#else
#define WIDE_VECTORS ",prefer-vector-width=512"
#endif
#include "kernels.h"
#undef SET
#undef TARGET
#define SET avx2
#define TARGET __attribute__((target("avx2,fma,bmi2")))
#include "kernels.h"
#undef SET
#undef TARGET
#else
#define HAS_SETS 0
#endif

#define SET plain
#define TARGET
#include "kernels.h"
#undef SET
#undef TARGET

#if HAS_SETS
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
}
#endif
