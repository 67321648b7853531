/* memory.h by VirtualAlloc.
 *
 * Windows promises memory for all that a process commits, so a lane cannot be committed as a whole
 * and cost nothing until touched. It is a stack as the system makes them for threads: reserved,
 * committed at its top, and below that one guard page. When the guard page is touched, the kernel
 * commits it and makes the next one the guard, and lets StackLimit (TEB) go down with it. Only a
 * thread that runs on this stack (x86_64_win64.S) can do that, system calls included.
 *
 * `lane->limit` is the lowest address committed, less the guard page: what StackLimit is to be for
 * whoever starts on the lane. The assembly code writes it when a context ends there; NULL says that
 * this has not happened, and that the system must be asked. It must be true: too low, and a large
 * frame skips the guard page; too high, and exceptions are not handled.
 *
 * A shared lane is written to while somebody stands elsewhere, so it is committed as a whole: no
 * more than eight of them a thread.
 *
 * Where an allocation begins is a multiple of 64 KiB, and it can be released only as a whole: a
 * slab is one lane. What is not committed is the guard.
 */
#ifndef GREENLANE_CONTEXT_MEMORY_WINDOWS_H
#define GREENLANE_CONTEXT_MEMORY_WINDOWS_H

#include "lane.h"

#include <windows.h>

#define GL_SLAB_LANES ((size_t)1)

/* What a new lane has committed of its stack, less than a page more. */
#define GL_FIRST_COMMIT ((size_t)16 << 10)

static inline size_t
gl_memory_page(void)
{
    return 4096;
}

enum { GL_MEMORY_SPACE, GL_MEMORY_WRITABLE };

/* A limit on what a job commits shows when it is refused. */
static inline bool
gl_memory_limited(int resource, uintmax_t *space)
{
    (void)resource;
    (void)space;
    return false;
}

static inline char *
gl_memory_reserve(size_t lanes)
{
    return VirtualAlloc(NULL, lanes * GL_LANE_SIZE, MEM_RESERVE, PAGE_READWRITE);
}

static inline void
gl_memory_unreserve(char *start, char *end)
{
    (void)end;
    VirtualFree(start, 0, MEM_RELEASE);
}

static inline bool
gl_memory_ignores_advice(char *start)
{
    (void)start;
    return false;
}

static inline bool
gl_memory_guard_by_advice(char *start)
{
    (void)start;
    return true;
}

static inline bool
gl_memory_guard(char *start)
{
    (void)start;
    return true;
}

/* Makes the page at `page`, which is committed, the one that lets the stack grow. */
static inline bool
gl_memory_set_limit(gl_lane *lane, char *page)
{
    DWORD before;
    lane->limit = page + gl_memory_page();
    return VirtualProtect(page, gl_memory_page(), PAGE_READWRITE | PAGE_GUARD, &before);
}

static inline bool
gl_memory_begin(gl_lane *lane, char *end)
{
    char *from =
        (char *)(((uintptr_t)lane - GL_FIRST_COMMIT) / gl_memory_page() * gl_memory_page());
    return VirtualAlloc(from, (size_t)(end - from), MEM_COMMIT, PAGE_READWRITE) != NULL &&
           gl_memory_set_limit(lane, from);
}

static inline bool
gl_memory_share(gl_lane *lane)
{
    size_t size = (size_t)(lane->end - lane->low);
    DWORD before;
    lane->limit = lane->low;
    return VirtualAlloc(lane->low, size, MEM_COMMIT, PAGE_READWRITE) != NULL &&
           VirtualProtect(lane->low, size, PAGE_READWRITE, &before);
}

static inline void
gl_memory_acquired(gl_lane *lane)
{
    if (lane->limit == NULL) {
        /* From the low end upwards: what is reserved, the guard page, what is committed. */
        MEMORY_BASIC_INFORMATION reserved = {0};
        VirtualQuery(lane->low, &reserved, sizeof reserved);
        char *committed = lane->low;
        committed += reserved.State == MEM_RESERVE ? reserved.RegionSize : 0;
        MEMORY_BASIC_INFORMATION guard = {0};
        VirtualQuery(committed, &guard, sizeof guard);
        committed += guard.Protect & PAGE_GUARD ? guard.RegionSize : 0;
        lane->limit = committed;
    }
}

static inline void
gl_memory_idle(gl_lane *lane)
{
    lane->limit = NULL;
}

static inline void
gl_memory_trim(gl_lane *lane, uintptr_t keep)
{
    char *from = (char *)keep;
    if (lane->is_shared) {
        /* It stays committed; what is in it need not be kept. */
        VirtualAlloc(lane->low, (size_t)(from - lane->low), MEM_RESET, PAGE_READWRITE);
        return;
    }
    gl_memory_acquired(lane);
    if (lane->limit < from && VirtualFree(lane->low, (size_t)(from - lane->low), MEM_DECOMMIT)) {
        gl_memory_set_limit(lane, from);
    }
}

static inline void
gl_memory_release(gl_lane *lane)
{
    char *start = lane->low - GL_LANE_GUARD;
    if (lane->tail_kept) {
        uintptr_t keep = (uintptr_t)lane / gl_memory_page() * gl_memory_page();
        VirtualFree(start, (size_t)((char *)keep - start), MEM_DECOMMIT);
    }
    else {
        VirtualFree(start, 0, MEM_RELEASE);
    }
}

#endif
