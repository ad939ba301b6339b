/* All kernels for one instruction set, in float and double.  A template: SET and TARGET. */

#define REAL float
#define BITS uint32_t
#define SIGNED int32_t
#define WIDE 0
#define MANTISSA 23
#define ROUNDING 12582912.0f
#define FARTHEST 87.0f
#define LOWEST (-FLT_MAX / 2)
#define HALF_ROOT 0x3f3504f3u
#define NAME(name) JOIN(name, JOIN(float, SET))
#include "real_math.h"
#include "loss_kernel.h"
#include "penalty_kernel.h"
#include "upsampled_kernel.h"
#include "calibration_kernel.h"
#undef REAL
#undef BITS
#undef SIGNED
#undef WIDE
#undef MANTISSA
#undef ROUNDING
#undef FARTHEST
#undef LOWEST
#undef HALF_ROOT
#undef NAME

#define REAL double
#define BITS uint64_t
#define SIGNED int64_t
#define WIDE 1
#define MANTISSA 52
#define ROUNDING 6755399441055744.0
#define FARTHEST 708.0
#define LOWEST (-DBL_MAX / 2)
#define HALF_ROOT 0x3fe6a09e667f3bcdu
#define NAME(name) JOIN(name, JOIN(double, SET))
#include "real_math.h"
#include "loss_kernel.h"
#include "penalty_kernel.h"
#include "upsampled_kernel.h"
#include "calibration_kernel.h"
#undef REAL
#undef BITS
#undef SIGNED
#undef WIDE
#undef MANTISSA
#undef ROUNDING
#undef FARTHEST
#undef LOWEST
#undef HALF_ROOT
#undef NAME
