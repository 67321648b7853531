/* Lanes: memory for C stacks. lane.h draws one lane; this is how they are laid out and kept.
 *
 * Slabs. Lanes are carved from slabs, one mmap each. Address space costs nothing until touched;
 * what costs is the number of kernel mappings (vm.max_map_count, 65,530 by default). A slab is one
 * mapping as long as its guards do not split it, which MADV_GUARD_INSTALL (Linux 6.13) makes
 * possible. On older kernels the guards are PROT_NONE pages, two mappings a lane.
 *
 * Stride and colour. Were all lanes a power of two apart, the words that every switch touches
 * would meet in the same few sets of the caches and of the TLB. So consecutive lanes are one page
 * more than GL_LANE_SIZE apart, which walks through the sets of the TLB, and the top of the stack
 * moves by one cache line a lane within its page, which walks through the sets of the caches.
 *
 * Page tables. A lane touches the page at its top and the one that holds its guard. The slab is
 * placed so that the border between two lanes lies in the middle of the reach (2 MiB) of one page
 * of page tables: the guard of one lane and the top of the one below it then share that page.
 *
 * Sharing. The lane that a tenant past the limit is bound to is taken from those in use, in turn.
 * The exchange of two stacks swaps the lane's contents with the slice that comes in, in place: the
 * room that one leaves is the room that the other needs, so that an exchange hardly ever allocates,
 * and reads and writes each cache line of the slice once.
 *
 * The pool. Lanes handed back are kept, last in first out: the lane on top is warm. Those deeper
 * down would hold for ever what the greediest greenlet ever committed of them, so a lane that
 * sinks below WARM_LANES others is trimmed to the pages around its top. Beyond MAX_IDLE_LANES a
 * lane goes back to the system.
 */
#include "lane.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE ((size_t)4096)
#define CACHE_LINE ((size_t)64)
#define PAGE_TABLE_REACH ((size_t)2 << 20)

#define STRIDE (GL_LANE_SIZE + PAGE)
#define SLAB_LANES ((size_t)64)

/* Bytes of stack that stay in the page of the stack's top, at least; and colours: steps of one
 * cache line that the top moves through. A plain suspended greenlet uses about 1 KiB of stack and
 * a third of that of tail: all colours hold both in one page. */
#define TOP_PAGE_STACK ((size_t)1408)
#define COLOURS ((size_t)32)

#define WARM_LANES ((size_t)16)
#define MAX_IDLE_LANES ((size_t)1000)

#define TRIM_SHARED_EVERY 64

/* So many shared lanes are made when so many tenants have a lane of their own. */
#define RESERVED 2
#define RESERVE_AT 8

/* What a trimmed lane keeps of its stack: what most greenlets use. */
#define TRIMMED_STACK ((size_t)32 << 10)

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static bool
install_guard(char *start)
{
    return madvise(start, GL_LANE_GUARD, MADV_GUARD_INSTALL) == 0 ||
           mprotect(start, GL_LANE_GUARD, PROT_NONE) == 0;
}

/* Maps a slab and makes it the source of fresh lanes. Under a tight limit on address space a
 * small slab may still be had where a large one is refused. */
static bool
add_slab(gl_lane_pool *pool)
{
    for (size_t lanes = SLAB_LANES; lanes > 0; lanes /= 2) {
        size_t size = lanes * STRIDE + PAGE_TABLE_REACH;
        char *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (map == MAP_FAILED) {
            continue;
        }
        /* Start half way through the reach of a page of page tables; give the rest back. */
        uintptr_t middle =
            ((uintptr_t)map / PAGE_TABLE_REACH) * PAGE_TABLE_REACH + PAGE_TABLE_REACH / 2;
        if (middle < (uintptr_t)map) {
            middle += PAGE_TABLE_REACH;
        }
        char *start = map + (middle - (uintptr_t)map);
        char *end = start + lanes * STRIDE;
        if (start > map) {
            munmap(map, (size_t)(start - map));
        }
        if (map + size > end) {
            munmap(end, (size_t)(map + size - end));
        }
        /* With transparent huge pages a first touch could commit 2 MiB. Refusal is harmless:
         * kernels without huge pages say EINVAL. */
        (void)madvise(start, (size_t)(end - start), MADV_NOHUGEPAGE);
        pool->fresh = start;
        pool->fresh_end = end;
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
    if (!install_guard(start)) {
        return NULL;
    }
    pool->fresh += STRIDE;
    size_t colour = pool->created_count++ % COLOURS;
    char *end = start + STRIDE;
    gl_lane *lane = (gl_lane *)(end - GL_LANE_TAIL + TOP_PAGE_STACK + colour * CACHE_LINE);
    lane->low = start + GL_LANE_GUARD;
    lane->end = end;
    return lane;
}

void
gl_lane_pool_open(gl_lane_pool *pool, size_t limit)
{
    *pool = (gl_lane_pool){.limit = limit, .shared_limit = GL_SHARED_LANES};
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) {
        return;
    }
    /* A quarter of it for lanes of one tenant, an eighth for shared ones: the program needs the
     * rest. */
    size_t lanes = space.rlim_cur / STRIDE;
    if (pool->limit > lanes / 4) {
        pool->limit = lanes / 4;
    }
    if (pool->shared_limit > lanes / 8 + 1) {
        pool->shared_limit = (unsigned)(lanes / 8 + 1);
    }
}

/* A lane that nobody is bound to, or NULL. */
static gl_lane *
acquire(gl_lane_pool *pool)
{
    gl_lane *lane = pool->idle_count > 0 ? pool->idle[--pool->idle_count] : make_lane(pool);
    if (lane != NULL) {
        lane->trimmed = false;
        lane->is_shared = false;
        lane->tail_used = false;
        lane->occupant = NULL;
        lane->bound = 0;
    }
    return lane;
}

/* Makes a shared lane. */
static gl_lane *
acquire_shared(gl_lane_pool *pool)
{
    gl_lane *lane = acquire(pool);
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
    if (pool->own_count < pool->limit) {
        lane = acquire(pool);
        if (lane != NULL) {
            pool->own_count++;
        }
        else {
            pool->limit = pool->own_count;
        }
    }
    if (pool->own_count == RESERVE_AT) {
        /* Where address space is scarce, those with a lane of their own would leave none. */
        for (unsigned i = 0; i < RESERVED && i < pool->shared_limit && !pool->shared_refused; i++) {
            if (pool->shared[i] == NULL) {
                pool->shared[i] = acquire_shared(pool);
            }
        }
    }
    if (lane == NULL) {
        lane = share(pool, standing);
    }
    if (lane != NULL) {
        lane->bound++;
    }
    return lane;
}

/* Gives back what a lane has committed below the pages around its top. Those above keep the
 * header, and the frames of a caller that is just leaving the lane. */
static void
trim(gl_lane *lane)
{
    uintptr_t keep = ((uintptr_t)lane - TRIMMED_STACK) / PAGE * PAGE;
    /* Refused (a locked page, a seccomp filter): the memory stays committed, no more. */
    (void)madvise(lane->low, (size_t)(keep - (uintptr_t)lane->low), MADV_DONTNEED);
    lane->trimmed = true;
}

/* Gives a lane back to the system. */
static void
unmap(gl_lane *lane)
{
    char *start = lane->low - GL_LANE_GUARD;
    char *end = lane->end;
    if (munmap(start, (size_t)(end - start)) != 0) {
        /* Splitting a mapping in two can be one mapping too many. The memory then goes back and
         * the address space stays. */
        (void)madvise(lane->low, (size_t)(end - lane->low), MADV_DONTNEED);
    }
}

/* Makes room for one more idle lane. False at the maximum or out of memory. */
static bool
reserve_idle(gl_lane_pool *pool)
{
    if (pool->idle_count < pool->idle_capacity) {
        return true;
    }
    if (pool->idle_count >= MAX_IDLE_LANES) {
        return false;
    }
    size_t capacity = pool->idle_capacity > 0 ? pool->idle_capacity * 2 : 4 * WARM_LANES;
    gl_lane **idle = realloc(pool->idle, capacity * sizeof *idle);
    if (idle == NULL) {
        return false;
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
    if (!reserve_idle(pool)) {
        /* The caller may be running on this lane: another one goes in its place. */
        if (pool->idle_count == 0) {
            return; /* not even room for one pointer: leaked rather than failed */
        }
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
    lane->bound--;
    if (lane->is_shared) {
        return; /* others go on with it, without a tail */
    }
    if (pool != NULL) {
        pool->own_count--;
    }
    char *start = lane->low - GL_LANE_GUARD;
    char *tail = (char *)((uintptr_t)lane / PAGE * PAGE);
    (void)munmap(start, (size_t)(tail - start));
}

gl_slice *
gl_slice_new(size_t size)
{
    size_t capacity = (size + 127) & ~(size_t)127;
    gl_slice *slice = malloc(sizeof *slice + capacity);
    if (slice != NULL) {
        slice->capacity = capacity;
        slice->size = 0;
        slice->link = NULL;
    }
    return slice;
}

/* Sixteen bytes, in a register where the CPU has such registers. */
typedef uint64_t word_pair __attribute__((vector_size(16), aligned(8), may_alias));

/* Exchanges two regions that do not overlap; a multiple of 8 bytes. */
static void
swap(char *a, char *b, size_t size)
{
    enum { BLOCK = 4 * sizeof(word_pair) };
    for (; size >= BLOCK; a += BLOCK, b += BLOCK, size -= BLOCK) {
        word_pair *x = (word_pair *)a;
        word_pair *y = (word_pair *)b;
        const word_pair x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
        const word_pair y0 = y[0], y1 = y[1], y2 = y[2], y3 = y[3];
        x[0] = y0, x[1] = y1, x[2] = y2, x[3] = y3;
        y[0] = x0, y[1] = x1, y[2] = x2, y[3] = x3;
    }
    for (; size > 0; a += 8, b += 8, size -= 8) {
        uint64_t spare;
        memcpy(&spare, a, 8);
        memcpy(a, b, 8);
        memcpy(b, &spare, 8);
    }
}

void
gl_lane_exchange(gl_lane *lane, const char *sp, gl_slice *slice)
{
    char *top = gl_lane_top(lane);
    char *end = slice->room + slice->capacity;
    size_t out = (size_t)(top - sp);
    size_t in = slice->size;
    size_t both = out < in ? out : in;
    swap(top - both, end - both, both);
    if (out > in) {
        memcpy(end - out, top - out, out - in);
    }
    else {
        memcpy(top - in, end - in, in - out);
    }
    slice->size = out;
}

void
gl_lane_pool_close(gl_lane_pool *pool)
{
    for (size_t i = 0; i < pool->idle_count; i++) {
        unmap(pool->idle[i]);
    }
    free(pool->idle);
    for (unsigned i = 0; i < GL_SHARED_LANES; i++) {
        if (pool->shared[i] != NULL && pool->shared[i]->bound == 0) {
            unmap(pool->shared[i]);
        }
    }
    if (pool->fresh != pool->fresh_end) {
        munmap(pool->fresh, (size_t)(pool->fresh_end - pool->fresh));
    }
    *pool = (gl_lane_pool){.limit = 0};
}
