/* Lanes: memory for C stacks.
 *
 * A lane is a C stack with room above it. Lanes come from a pool; a pool belongs to one thread and
 * is not locked. Nothing here knows of Python.
 *
 * Up to the pool's limit each tenant gets a lane of its own. Past it, tenants share: several are
 * bound to one lane for life, since a stack cannot move, and one of them at a time is its
 * *occupant*. The stacks of the others are kept in slices: copies on the heap, put back to where
 * they came from before their tenant runs.
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
#include <stdint.h>

#include "switch.h"

#define GL_LIKELY(x) __builtin_expect(!!(x), 1)
#define GL_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* The largest pages that a system may have: what is made of whole pages is made of these. A guard
 * is, too. */
#if !defined(GL_LARGEST_PAGE)
#if defined(__x86_64__) || defined(__i386__)
#define GL_LARGEST_PAGE 4096
#else
#define GL_LARGEST_PAGE 65536
#endif
#endif
/* Address space of one lane, guard included. CPython 3.10-3.13 count C recursion instead of
 * measuring the stack, on the assumption of a main thread's 8 MiB: much less is a crash there. With
 * 32-bit pointers frames are half as large, and address space is scarce: a thread starts sharing
 * early. Why it is one page less: lane.c. GL_LANES is how many tenants a thread gives a lane of
 * their own, unless told otherwise. */
#if UINTPTR_MAX > UINT32_MAX
#define GL_LANE_SIZE (((size_t)8 << 20) - GL_LARGEST_PAGE)
#define GL_LANES ((size_t)4096)
#else
#define GL_LANE_SIZE (((size_t)4 << 20) - GL_LARGEST_PAGE)
#define GL_LANES ((size_t)64)
#endif
/* A fault for sure needs a guard larger than any one stack frame that does not probe. */
#define GL_LANE_GUARD ((size_t)64 << 10)
/* Room for the header and the tail. */
#define GL_LANE_TAIL ((size_t)16 << 10)
/* How many lanes are shared. More of them mean fewer exchanges among a few active tenants; fewer,
 * that the lanes stay in the cache when there are many. */
#define GL_SHARED_LANES 8
/* So many idle lanes need no memory to be remembered. */
#define GL_FEW_IDLE 4

typedef struct gl_lane {
    char *low; /* lowest usable address of the stack; the guard is below */
#if defined(GL_STACKS_HAVE_LIMITS)
    char *limit; /* lowest address of it that is committed; NULL: not known now */
#endif
    char *end;      /* end (exclusive) of the tail */
    void *occupant; /* the tenant whose stack is on the lane; NULL: nobody's */
    unsigned bound; /* how many tenants */
    bool is_shared; /* is it one of the pool's shared lanes? */
    bool tail_used; /* has a tenant taken the tail? */
    bool trimmed;   /* while idle: nothing below the top of the stack is committed */
    bool tail_kept; /* must the tail stay when the rest goes back to the system? */
#if defined(GL_VALGRIND)
    unsigned valgrind; /* its number there */
#endif
} gl_lane;

/* The stack of a tenant that is not the occupant of its lane. */
typedef struct gl_slice {
    size_t capacity; /* bytes of room */
    size_t size;     /* bytes in use */
    void *link;      /* for the tenant */
    _Alignas(16) char data[];
} gl_slice;

/* What protects the lower end of a lane. */
typedef enum gl_guard {
    GL_GUARD_NONE_YET, /* no lane was made yet */
    GL_GUARD_INSTALL,  /* by MADV_GUARD_INSTALL, or never committed: costs no mapping */
    GL_GUARD_MAPPING,  /* PROT_NONE: two mappings a lane */
} gl_guard;

/* Why fewer tenants than asked for may have a lane of their own. */
typedef enum gl_limited_by {
    GL_LIMITED_BY_NOTHING,
    GL_LIMITED_BY_SPACE,    /* RLIMIT_AS or RLIMIT_DATA */
    GL_LIMITED_BY_MAPPINGS, /* guards are mappings, of which a process has so many */
    GL_LIMITED_BY_REFUSAL,  /* the system refused memory for a lane */
} gl_limited_by;

typedef struct gl_lane_pool {
    size_t limit;                     /* how many tenants may have a lane of their own */
    size_t own_count;                 /* how many have */
    gl_lane *shared[GL_SHARED_LANES]; /* lanes for all others; NULL: not made yet */
    unsigned shared_limit;            /* how many to make */
    unsigned next_shared;             /* the one to bind to next */
    unsigned shared_left;             /* how often the last tenant of one left */
    bool shared_refused;              /* did the system refuse to make one? */
    bool maps_guards;                 /* are guards not to be had by advice? */
    bool space_is_limited;            /* by RLIMIT_AS or RLIMIT_DATA */
    gl_lane **idle;       /* lanes handed back, the warmest last; in `few` or on the heap */
    size_t idle_count;    /* how many of them */
    size_t idle_capacity; /* how many fit in `idle` */
    gl_lane *few[GL_FEW_IDLE];
    size_t created_count;     /* lanes ever made: chooses the next one's colour */
    char *fresh;              /* the part of the newest slab that no lane was made of yet: */
    char *fresh_end;          /*   whole lanes between these two addresses */
    gl_guard guard;           /* that of the newest lane */
    gl_limited_by limited_by; /* what lowered `limit` last */
} gl_lane_pool;

/* Opens a pool in which `limit` tenants have a lane of their own; fewer where the process may not
 * have much address space. */
void gl_lane_pool_open(gl_lane_pool *pool, size_t limit);

/* Binds a new tenant to a lane: one of its own, or, past the limit or when the system refuses
 * memory (which lowers the limit to what there is), a shared one, if possible not `standing`, the
 * one that the caller runs on. The contents are undefined, and the occupant is unchanged. NULL when
 * there is no lane to be had. */
gl_lane *gl_lane_bind(gl_lane_pool *pool, gl_lane *standing);

/* Ends a tenancy. The last tenant hands the lane back; it may still be running on it, provided that
 * it leaves before anything else is bound. Never fails. */
void gl_lane_unbind(gl_lane_pool *pool, gl_lane *lane);

/* Gives everything that is idle back to the system. Lanes in use stay usable; they go to
 * gl_lane_unbind_closed. */
void gl_lane_pool_close(gl_lane_pool *pool);

/* Ends a tenancy whose tail must stay for ever; the rest goes back to the system after the last
 * one. `pool` is NULL if it has been closed. Nobody may be running on the lane. */
void gl_lane_unbind_but_tail(gl_lane_pool *pool, gl_lane *lane);

/* gl_lane_unbind for a lane of a closed pool. Nobody may be running on it. */
void gl_lane_unbind_closed(gl_lane *lane);

/* A slice with room for at least `size` bytes, empty, or NULL. Free it with free(). */
gl_slice *gl_slice_new(size_t size);

/* Copies the occupant's stack, from `sp` up to the top, to a slice, whose room must suffice. The
 * lane is free for another one then. Nobody may be running on it. */
void gl_lane_evict(const gl_lane *lane, const char *sp, gl_slice *slice);

/* Puts the stack in a slice back to where it came from. Nobody may be running on the lane. */
void gl_lane_restore(gl_lane *lane, const gl_slice *slice);

/* The initial stack pointer. */
static inline void *
gl_lane_top(gl_lane *lane)
{
    return lane;
}

/* The owner's memory, and how many bytes it has. */
static inline void *
gl_lane_tail(gl_lane *lane)
{
    return lane + 1;
}

static inline size_t
gl_lane_tail_size(const gl_lane *lane)
{
    return (size_t)(lane->end - (const char *)(lane + 1));
}

#endif
