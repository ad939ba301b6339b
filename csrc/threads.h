/* Work on several threads, in tiles. */
#ifndef CALS_MM_THREADS_H
#define CALS_MM_THREADS_H

#include <stdint.h>

#if defined(_WIN32) || defined(__STDC_NO_ATOMICS__)
#define HAS_THREADS 0
typedef int64_t Counter;
#else
#define HAS_THREADS 1
typedef _Atomic int64_t Counter;
#endif

/* What is left of some samples: each thread takes the next tile until there is none. */
typedef struct {
    int64_t samples, size, count; /* of all tiles, of one, and how many tiles */
    Counter next;
} Tiles;

/* The number of a tile of one's own and its samples [start, stop), or -1. */
static inline int64_t next_tile(Tiles *tiles, int64_t *start, int64_t *stop) {
    const int64_t number = tiles->next++;
    if (number >= tiles->count)
        return -1;
    *start = number * tiles->size;
    *stop = number + 1 < tiles->count ? *start + tiles->size : tiles->samples;
    return number;
}

typedef void Work(void *job);

/* Whether the OpenMP runtime that torch has loaded is there; looks for it until it is. */
int find_threads(void);

/* Calls work(job) in this thread and in as many others as make `threads`, if it can, and returns
   when all are done.  So `work` has to take parts of the job until there are none. */
void work_on_threads(Work *work, void *job, int threads);

#endif
