/* Lanes: memory for C stacks.
 *
 * A lane is a C stack of its own with room above it for its owner. Lanes come from a pool; a pool
 * belongs to one thread and is not locked. Nothing here knows of Python.
 *
 * One lane, addresses growing upwards:
 *
 *     low - GL_LANE_GUARD  ...  low          ...            lane           ...           end
 *     | guard: any access is   | C stack, grows downwards  | struct gl_lane, then the   |
 *     | a fault                | from the lane's address   | tail, free for the owner   |
 *
 * The top of the stack and the start of the tail share one page, so that a context that uses
 * little of both costs one page. Memory is committed by the kernel when it is first touched.
 */
#ifndef GREENLANE_CONTEXT_LANE_H
#define GREENLANE_CONTEXT_LANE_H

#include <stdbool.h>
#include <stddef.h>

/* Address space of one lane, guard included. CPython 3.10-3.13 count C recursion instead of
 * measuring the stack, on the assumption of a main thread's 8 MiB: less is a crash there. */
#define GL_LANE_SIZE ((size_t)8 << 20)
/* A fault for sure needs a guard larger than any one stack frame that does not probe. */
#define GL_LANE_GUARD ((size_t)64 << 10)
/* Room for the header and the tail. */
#define GL_LANE_TAIL ((size_t)16 << 10)

typedef struct gl_lane {
    char *low;    /* lowest usable address of the stack; the guard is below */
    char *end;    /* end (exclusive) of the tail */
    bool trimmed; /* while pooled: nothing below the top of the stack is committed */
} gl_lane;

typedef struct gl_lane_pool {
    gl_lane **idle;       /* lanes handed back, the warmest last */
    size_t idle_count;    /* how many of them */
    size_t idle_capacity; /* how many fit in `idle` */
    size_t live_count;    /* lanes handed out and not handed back */
    size_t created_count; /* lanes ever made: chooses the next one's colour */
    char *fresh;          /* the part of the newest slab that no lane was made of yet: */
    char *fresh_end;      /*   whole lanes between these two addresses */
} gl_lane_pool;

/* An empty pool is all zeros. */
#define GL_LANE_POOL_INIT {0}

/* A lane with undefined contents, or NULL when the system refuses the memory. */
gl_lane *gl_lane_acquire(gl_lane_pool *pool);

/* Hands a lane back. The caller may still be running on it, provided that it leaves the lane
 * before anything else is acquired from the pool. Never fails. */
void gl_lane_release(gl_lane_pool *pool, gl_lane *lane);

/* Gives everything that is idle back to the system. Lanes in use stay usable; they go to
 * gl_lane_unmap. */
void gl_lane_pool_close(gl_lane_pool *pool);

/* Gives a lane of a closed pool back to the system. Nobody may be running on it. */
void gl_lane_unmap(gl_lane *lane);

/* The initial stack pointer. */
static inline void *
gl_lane_top(gl_lane *lane)
{
    return lane;
}

/* The owner's memory: *size bytes. */
static inline void *
gl_lane_tail(gl_lane *lane, size_t *size)
{
    char *start = (char *)(lane + 1);
    *size = (size_t)(lane->end - start);
    return start;
}

#endif
