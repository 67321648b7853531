/* memory.h by mmap: Linux, and other Unix systems with what they have of it. */
#ifndef GREENLANE_CONTEXT_MEMORY_POSIX_H
#define GREENLANE_CONTEXT_MEMORY_POSIX_H

#include "lane.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#if UINTPTR_MAX > UINT32_MAX
#define GL_SLAB_LANES ((size_t)64)
#else
#define GL_SLAB_LANES ((size_t)8)
#endif

#define GL_PAGE_TABLE_REACH ((size_t)2 << 20)

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
/* Not everywhere: macOS has no such flag. */
#ifndef MAP_STACK
#define MAP_STACK 0
#endif

/* Where every system has the same pages this is a constant. Elsewhere it is asked for: not while
 * switching, only when memory is given back. */
static inline size_t
gl_memory_page(void)
{
#if GL_LARGEST_PAGE == 4096
    return 4096;
#else
    return (size_t)sysconf(_SC_PAGESIZE);
#endif
}

enum {
    GL_MEMORY_SPACE = RLIMIT_AS,
    /* Which counts memory that may be written to, touched or not. */
    GL_MEMORY_WRITABLE = RLIMIT_DATA,
};

static inline bool
gl_memory_limited(int resource, uintmax_t *space)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return false;
    }
    *space = limit.rlim_cur;
    return true;
}

static inline char *
gl_memory_reserve(size_t lanes)
{
    /* One reach to align in, and one to be left out. */
    size_t size = lanes * GL_LANE_SIZE + 2 * GL_PAGE_TABLE_REACH;
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    /* Start half way through the reach of a page of page tables; give the rest back. */
    uintptr_t middle =
        ((uintptr_t)map / GL_PAGE_TABLE_REACH) * GL_PAGE_TABLE_REACH + GL_PAGE_TABLE_REACH / 2;
    if (middle < (uintptr_t)map) {
        middle += GL_PAGE_TABLE_REACH;
    }
    char *start = map + (middle - (uintptr_t)map);
    char *end = start + lanes * GL_LANE_SIZE;
    if (start > map) {
        munmap(map, (size_t)(start - map));
    }
    if (map + size > end) {
        munmap(end, (size_t)(map + size - end));
    }
#if defined(MADV_NOHUGEPAGE)
    /* With transparent huge pages a first touch could commit 2 MiB. Refusal is harmless: kernels
     * without huge pages say EINVAL. */
    (void)madvise(start, (size_t)(end - start), MADV_NOHUGEPAGE);
#endif
    return start;
}

static inline void
gl_memory_unreserve(char *start, char *end)
{
    munmap(start, (size_t)(end - start));
}

/* Emulators of a CPU (qemu-user) do. */
static inline bool
gl_memory_ignores_advice(char *start)
{
    return madvise(start, GL_LANE_GUARD, INT_MAX) == 0;
}

static inline bool
gl_memory_guard_by_advice(char *start)
{
    return madvise(start, GL_LANE_GUARD, MADV_GUARD_INSTALL) == 0;
}

static inline bool
gl_memory_guard(char *start)
{
    return mprotect(start, GL_LANE_GUARD, PROT_NONE) == 0;
}

/* All memory of a lane can be used from the start, and is committed when touched. */
static inline bool
gl_memory_begin(gl_lane *lane, char *end)
{
    (void)lane;
    (void)end;
    return true;
}

static inline bool
gl_memory_share(gl_lane *lane)
{
    (void)lane;
    return true;
}

static inline void
gl_memory_acquired(gl_lane *lane)
{
    (void)lane;
}

static inline void
gl_memory_idle(gl_lane *lane)
{
    (void)lane;
}

static inline void
gl_memory_trim(gl_lane *lane, uintptr_t keep)
{
    /* Refused (a locked page, a seccomp filter): the memory stays committed, no more. */
    (void)madvise(lane->low, (size_t)(keep - (uintptr_t)lane->low), MADV_DONTNEED);
}

static inline void
gl_memory_release(gl_lane *lane)
{
    char *start = lane->low - GL_LANE_GUARD;
    char *end = lane->tail_kept ? (char *)((uintptr_t)lane / gl_memory_page() * gl_memory_page())
                                : lane->end;
    if (munmap(start, (size_t)(end - start)) != 0) {
        /* Splitting a mapping in two can be one mapping too many. The memory then goes back and
         * the address space stays. */
        (void)madvise(lane->low, (size_t)(end - lane->low), MADV_DONTNEED);
    }
}

#endif
