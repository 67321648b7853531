/* Lanes: memory for C stacks. lane.h draws one lane; this is how they are laid out and kept.
 *
 * Where the memory comes from differs by system (memory.h). What follows is true of all of them,
 * but the figures and the names of calls are Linux'.
 *
 * Slabs. Lanes are carved from slabs, one mmap each. Address space costs nothing until touched;
 * what costs is the number of kernel mappings (vm.max_map_count, 65,530 by default). A slab is one
 * mapping as long as its guards do not split it, which MADV_GUARD_INSTALL (Linux 6.13) makes
 * possible. On older kernels the guards are PROT_NONE pages, two mappings a lane. Then a pool makes
 * only so many: a program without a mapping left cannot even allocate memory.
 *
 * Stride and colour. Were all lanes a power of two apart, the words that every switch touches
 * would meet in the same few sets of the caches and of the TLB. So a lane is an odd number of pages
 * long, which walks through the sets of the TLB, and the top of the stack moves by one cache line a
 * lane within its page, which walks through the sets of the caches. One page less than 8 MiB, not
 * more: the prefetcher of some processors (AMD Zen 4) follows from lane to lane at any stride below
 * 8 MiB and at none above, which makes a ring of thousands of lanes up to three times faster. Slabs
 * keep off a power of two by a reach of page tables that is left out between them.
 *
 * Page tables. A lane touches the page at its top and the one that holds its guard. The slab is
 * placed so that the border between two lanes lies in the middle of the reach (2 MiB) of one page
 * of page tables: the guard of one lane and the top of the one below it then share that page.
 *
 * Sharing. The lane that a tenant past the limit is bound to is taken from those in use, in turn.
 * The stack of the one that goes out is copied to a slice, that of the one that comes in from its
 * slice, by the C library's memcpy(): it uses the widest registers that the processor has.
 *
 * The pool. Lanes handed back are kept, last in first out: the lane on top is warm. Those deeper
 * down would hold for ever what the greediest greenlet ever committed of them, so a lane that
 * sinks below WARM_LANES others is trimmed to the pages around its top. Beyond MAX_IDLE_LANES a
 * lane goes back to the system.
 */
#include "lane.h"

#include "asan.h"
#include "memory.h"
#include "valgrind.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE ((size_t)64)

/* Bytes of stack that stay in the page of the stack's top, at least; and colours: steps of one
 * cache line that the top moves through. Were they fewer, the lines in the middle of the pages
 * would crowd the second-level cache. A plain suspended greenlet uses 0.7 to 1.2 KiB of stack and a
 * third of that of tail: with most colours one page holds both. */
#define TOP_PAGE_STACK ((size_t)864)
#define COLOURS ((size_t)48)

#define WARM_LANES ((size_t)16)
#define MAX_IDLE_LANES ((size_t)1024)

/* Not a multiple of how many lanes are shared in turn: it would be the same one each time. */
#define TRIM_SHARED_EVERY 61

/* So many shared lanes are made when so many tenants have a lane of their own. */
#define RESERVED 2
#define RESERVE_AT 8

/* What a trimmed lane keeps of its stack: what most greenlets use. */
#define TRIMMED_STACK ((size_t)32 << 10)

/* How many tenants of a pool may have a lane of their own where guards are mappings: they take half
 * of the mappings of a process. */
#define MOST_WITH_MAPPED_GUARDS ((size_t)16000)

#if defined(GL_STACKS_HAVE_LIMITS)
/* A gl_lane is what lies at the top of its stack. */
_Static_assert(offsetof(gl_lane, low) == offsetof(gl_stack_end, low) &&
                   offsetof(gl_lane, limit) == offsetof(gl_stack_end, limit),
               "a gl_lane begins like a gl_stack_end");
#endif

static bool
install_guard(gl_lane_pool *pool, char *start)
{
    if (!pool->maps_guards && gl_memory_guard_by_advice(start)) {
        pool->guard = GL_GUARD_INSTALL;
        return true;
    }
    pool->guard = GL_GUARD_MAPPING;
    if (pool->limit > MOST_WITH_MAPPED_GUARDS) {
        pool->limit = MOST_WITH_MAPPED_GUARDS;
        pool->limited_by = GL_LIMITED_BY_MAPPINGS;
    }
    return gl_memory_guard(start);
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Maps a slab and makes it the source of fresh lanes: of no more than the pool may come to have.
 * Under a limit on address space, of no more than it has, or many threads with a greenlet or two
 * would leave none; and a small slab may still be had where a large one is refused. */
static bool
add_slab(gl_lane_pool *pool)
{
    const size_t made = pool->created_count;
    const size_t all = pool->limit + pool->shared_limit;
    size_t lanes = smaller(GL_SLAB_LANES, all > made ? all - made : 1);
    if (pool->space_is_limited) {
        lanes = smaller(lanes, made > 0 ? made : 1);
    }
    for (; lanes > 0; lanes /= 2) {
        char *start = gl_memory_reserve(lanes);
        if (start == NULL) {
            continue;
        }
        pool->maps_guards = gl_memory_ignores_advice(start);
        pool->fresh = start;
        pool->fresh_end = start + lanes * GL_LANE_SIZE;
        return true;
    }
    return false;
}

static gl_lane *
make_lane(gl_lane_pool *pool)
{
    if (pool->fresh == pool->fresh_end && !add_slab(pool)) {
        return NULL;
    }
    char *start = pool->fresh;
    if (!install_guard(pool, start)) {
        return NULL;
    }
    pool->fresh += GL_LANE_SIZE;
    size_t colour = pool->created_count++ % COLOURS;
    char *end = start + GL_LANE_SIZE;
    gl_lane *lane = (gl_lane *)(end - GL_LANE_TAIL + TOP_PAGE_STACK + colour * CACHE_LINE);
    if (!gl_memory_begin(lane, end)) {
        pool->fresh = start;
        return NULL;
    }
    lane->low = start + GL_LANE_GUARD;
    lane->end = end;
    gl_valgrind_add(lane->valgrind, lane->low, lane);
    return lane;
}

/* Lowers the limits of a pool to what may be taken of so much address space. */
static void
limit_to(gl_lane_pool *pool, uintmax_t space)
{
    /* A quarter of it for lanes of one tenant, an eighth for shared ones: the program needs the
     * rest. */
    uintmax_t lanes = space / GL_LANE_SIZE;
    if (pool->limit > lanes / 4) {
        pool->limit = (size_t)(lanes / 4);
        pool->limited_by = GL_LIMITED_BY_SPACE;
    }
    if (pool->shared_limit > lanes / 8 + 1) {
        pool->shared_limit = (unsigned)(lanes / 8 + 1);
    }
}

/* The same where a resource of the process is limited. */
static void
limit_by(gl_lane_pool *pool, int resource)
{
    uintmax_t space;
    if (gl_memory_limited(resource, &space)) {
        pool->space_is_limited = true;
        limit_to(pool, space);
    }
}

void
gl_lane_pool_open(gl_lane_pool *pool, size_t limit)
{
    *pool = (gl_lane_pool){.limit = limit, .shared_limit = GL_SHARED_LANES};
    pool->idle = pool->few;
    pool->idle_capacity = GL_FEW_IDLE;
    /* What there is at most; with 32 bits it is not much. */
    limit_to(pool, SIZE_MAX);
    limit_by(pool, GL_MEMORY_SPACE);
    limit_by(pool, GL_MEMORY_WRITABLE);
}

/* A lane that nobody is bound to, or NULL. */
static inline gl_lane *
acquire(gl_lane_pool *pool)
{
    if (GL_LIKELY(pool->idle_count > 0)) {
        gl_lane *lane = pool->idle[--pool->idle_count];
        lane->trimmed = false;
        gl_memory_acquired(lane);
        return lane;
    }
    return make_lane(pool);
}

/* Gives a lane back to the system, but for a tail that must stay. */
static void
unmap(gl_lane *lane)
{
    gl_asan_clear(lane->low, lane);
    gl_valgrind_remove(lane->valgrind);
    gl_memory_release(lane);
}

/* Makes a shared lane. */
static gl_lane *
acquire_shared(gl_lane_pool *pool)
{
    gl_lane *lane = acquire(pool);
    if (lane != NULL && !gl_memory_share(lane)) {
        unmap(lane);
        lane = NULL;
    }
    if (lane != NULL) {
        lane->is_shared = true;
    }
    else {
        pool->shared_refused = true;
    }
    return lane;
}

/* The next shared lane, or NULL if there is none and none can be made. */
static gl_lane *
share(gl_lane_pool *pool, gl_lane *standing)
{
    bool standing_is_shared = false;
    pool->shared_refused = pool->shared_refused && pool->shared[0] != NULL;
    for (unsigned attempt = 0; attempt < pool->shared_limit; attempt++) {
        pool->next_shared = (pool->next_shared + 1) % pool->shared_limit;
        gl_lane **place = &pool->shared[pool->next_shared];
        if (*place == NULL && !pool->shared_refused) {
            *place = acquire_shared(pool);
        }
        if (*place != NULL && *place != standing) {
            return *place;
        }
        standing_is_shared |= *place != NULL;
    }
    return standing_is_shared ? standing : NULL;
}

gl_lane *
gl_lane_bind(gl_lane_pool *pool, gl_lane *standing)
{
    gl_lane *lane = NULL;
    if (GL_LIKELY(pool->own_count < pool->limit)) {
        lane = acquire(pool);
        if (GL_LIKELY(lane != NULL)) {
            pool->own_count++;
        }
        else {
            pool->limit = pool->own_count;
            pool->limited_by = GL_LIMITED_BY_REFUSAL;
        }
    }
    if (GL_UNLIKELY(pool->own_count == RESERVE_AT)) {
        /* Where address space is scarce, those with a lane of their own would leave none. */
        for (unsigned i = 0; i < RESERVED && i < pool->shared_limit && !pool->shared_refused; i++) {
            if (pool->shared[i] == NULL) {
                pool->shared[i] = acquire_shared(pool);
            }
        }
    }
    if (GL_UNLIKELY(lane == NULL)) {
        lane = share(pool, standing);
        if (lane == NULL) {
            return NULL;
        }
    }
    lane->bound++;
    return lane;
}

/* Gives back what a lane has committed below the pages around its top. Those above keep the
 * header, and the frames of a caller that is just leaving the lane. */
static void
trim(gl_lane *lane)
{
    const size_t page = gl_memory_page();
    gl_memory_trim(lane, ((uintptr_t)lane - TRIMMED_STACK) / page * page);
    lane->trimmed = true;
}

/* Makes room for one more idle lane. False at the maximum or out of memory. */
static inline bool
reserve_idle(gl_lane_pool *pool)
{
    if (pool->idle_count < pool->idle_capacity) {
        return true;
    }
    if (pool->idle_count >= MAX_IDLE_LANES) {
        return false;
    }
    bool is_first = pool->idle == pool->few;
    size_t capacity = is_first ? 4 * WARM_LANES : pool->idle_capacity * 2;
    gl_lane **idle = realloc(is_first ? NULL : pool->idle, capacity * sizeof *idle);
    if (idle == NULL) {
        return false;
    }
    if (is_first) {
        memcpy(idle, pool->few, sizeof pool->few);
    }
    pool->idle = idle;
    pool->idle_capacity = capacity;
    return true;
}

void
gl_lane_unbind(gl_lane_pool *pool, gl_lane *lane)
{
    if (--lane->bound > 0) {
        return;
    }
    if (lane->is_shared) {
        /* It stays with the pool, and what it once committed would stay, too. Now and then is often
         * enough: there are few. */
        if (++pool->shared_left % TRIM_SHARED_EVERY == 0) {
            trim(lane);
        }
        return;
    }
    pool->own_count--;
    gl_memory_idle(lane);
    if (GL_UNLIKELY(!reserve_idle(pool))) {
        /* The caller may be running on this lane: another one goes in its place. */
        unmap(pool->idle[0]);
        pool->idle[0] = pool->idle[--pool->idle_count];
    }
    pool->idle[pool->idle_count++] = lane;
    if (pool->idle_count > WARM_LANES) {
        gl_lane *sunk = pool->idle[pool->idle_count - 1 - WARM_LANES];
        if (!sunk->trimmed) {
            trim(sunk);
        }
    }
}

void
gl_lane_unbind_closed(gl_lane *lane)
{
    if (--lane->bound == 0) {
        unmap(lane);
    }
}

void
gl_lane_unbind_but_tail(gl_lane_pool *pool, gl_lane *lane)
{
    lane->tail_kept = true;
    if (pool != NULL && lane->is_shared) {
        lane->bound--; /* others go on with it, without a tail */
        return;
    }
    if (pool != NULL) {
        pool->own_count--;
    }
    gl_lane_unbind_closed(lane);
}

gl_slice *
gl_slice_new(size_t size)
{
    /* Rounded, so that a greenlet whose stack grows a little fits into the slice of another. */
    size_t capacity = (size + 127) & ~(size_t)127;
    gl_slice *slice = malloc(sizeof *slice + capacity);
    if (slice != NULL) {
        slice->capacity = capacity;
        slice->size = 0;
        slice->link = NULL;
    }
    return slice;
}

void
gl_lane_evict(const gl_lane *lane, const char *sp, gl_slice *slice)
{
    slice->size = (size_t)((const char *)lane - sp);
    gl_asan_clear(sp, lane);
    memcpy(slice->data, sp, slice->size);
}

void
gl_lane_restore(gl_lane *lane, const gl_slice *slice)
{
    char *sp = (char *)gl_lane_top(lane) - slice->size;
    gl_valgrind_allow(sp, slice->size);
    memcpy(sp, slice->data, slice->size);
}

void
gl_lane_pool_close(gl_lane_pool *pool)
{
    for (size_t i = 0; i < pool->idle_count; i++) {
        unmap(pool->idle[i]);
    }
    if (pool->idle != pool->few) {
        free(pool->idle);
    }
    for (unsigned i = 0; i < GL_SHARED_LANES; i++) {
        if (pool->shared[i] != NULL && pool->shared[i]->bound == 0) {
            unmap(pool->shared[i]);
        }
    }
    if (pool->fresh != pool->fresh_end) {
        gl_memory_unreserve(pool->fresh, pool->fresh_end);
    }
    *pool = (gl_lane_pool){.limit = 0};
}
