/* exp2 and log for vectorised loops.  A template: REAL is float or double, WIDE says which.

   The compilers' own are calls, or vectors of them from a library that is not everywhere. */

typedef union {
    REAL real;
    BITS bits;
} NAME(Pattern);

/* exp(-d) for d >= 0, at least exp(-farthest), and NaN for NaN.  `farthest` is FARTHEST, but as a
   variable: of the constant compilers make a second branch, and of both masked vectors. */
static INLINE REAL NAME(exp_of_minus)(REAL d, REAL farthest) {
    d = d > farthest ? farthest : d;
    /* -d log2(e) = n + f, f in [-1/2, 1/2]: the sum has no digits behind the point, and its lowest
       bits are n. */
    const REAL per_nat = (REAL)-1.4426950408889634;
    NAME(Pattern) n = {.real = d * per_nat + ROUNDING};
    REAL f = d * per_nat - (n.real - ROUNDING);
#if WIDE
    /* Taylor, to 2e-16. */
    REAL p = 2.5678435993488196e-11;
    p = p * f + 4.44553827187081e-10;
    p = p * f + 7.054911620801121e-09;
    p = p * f + 1.0178086009239696e-07;
    p = p * f + 1.3215486790144305e-06;
    p = p * f + 1.5252733804059838e-05;
    p = p * f + 1.5403530393381606e-04;
    p = p * f + 1.3333558146428441e-03;
    p = p * f + 9.618129107628477e-03;
    p = p * f + 5.5504108664821576e-02;
    p = p * f + 2.402265069591007e-01;
    p = p * f + 6.931471805599453e-01;
#else
    /* Of least relative error among those that are 1 at 0: 9e-8. */
    REAL p = 1.3264727123486406e-03f;
    p = p * f + 9.671512644822315e-03f;
    p = p * f + 5.550733743497306e-02f;
    p = p * f + 2.4022242085265283e-01f;
    p = p * f + 6.931469775989927e-01f;
#endif
    NAME(Pattern) result = {.real = p * f + (REAL)1};
    result.bits += n.bits << MANTISSA;
    return result.real;
}

/* Natural logarithm of x >= 1; NaN for NaN and infinity. */
static INLINE REAL NAME(log_above)(REAL x) {
    NAME(Pattern) m = {.real = x};
    /* x = 2^e m with m in [sqrt 1/2, sqrt 2), so that 1 is in the middle. */
    BITS shifted = m.bits - HALF_ROOT;
    SIGNED e = (SIGNED)shifted >> MANTISSA;
    m.bits -= (BITS)e << MANTISSA;
    REAL s = (m.real - 1) / (m.real + 1);
    REAL t = s * s;
    /* The series of 2 artanh. */
#if WIDE
    REAL p = 2.0 / 21;
    p = p * t + 2.0 / 19;
    p = p * t + 2.0 / 17;
    p = p * t + 2.0 / 15;
    p = p * t + 2.0 / 13;
    p = p * t + 2.0 / 11;
    p = p * t + 2.0 / 9;
#else
    REAL p = 2.0f / 9;
#endif
    p = p * t + (REAL)(2.0 / 7);
    p = p * t + (REAL)(2.0 / 5);
    p = p * t + (REAL)(2.0 / 3);
    return (REAL)e * (REAL)0.6931471805599453 + s * (p * t + 2) + (x - x);
}
