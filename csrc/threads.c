/* The threads are those of torch's own OpenMP runtime, which is looked up when the program runs.

   They stay awake for a while after each of torch's operations, so they start at once, whereas
   threads of our own would have to wait for the cores on which these do so. */

#if defined(__linux__)
#define _GNU_SOURCE /* RTLD_DEFAULT */
#endif

#include "threads.h"

#include <stddef.h>

#if HAS_THREADS

#include <dlfcn.h>
#include <pthread.h>

/* What compilers make of `#pragma omp parallel num_threads(threads)`; libgomp's own, and LLVM's and
   Intel's runtimes have it too. */
typedef void Parallel(Work *work, void *job, unsigned threads, unsigned flags);

static Parallel *_Atomic parallel;

/* A forked child has none of the threads, but the runtime waits for them. */
static _Atomic int forked;

static void work_alone(void) {
    parallel = NULL;
    forked = 1;
}

int find_threads(void) {
    static _Atomic int told;
    if (parallel || forked)
        return parallel != NULL;
    /* The name is looked up in the same places as for torch, whenever that was loaded. */
    Parallel *found;
    *(void **)&found = dlsym(RTLD_DEFAULT, "GOMP_parallel");
    if (found && (told++ || pthread_atfork(NULL, NULL, work_alone) == 0))
        parallel = found;
    return parallel != NULL;
}

void work_on_threads(Work *work, void *job, int threads) {
    Parallel *known = threads > 1 && find_threads() ? parallel : NULL;
    if (known)
        known(work, job, (unsigned)threads, 0);
    else
        work(job);
}

#else

int find_threads(void) { return 0; }

void work_on_threads(Work *work, void *job, int threads) {
    (void)threads;
    work(job);
}

#endif
