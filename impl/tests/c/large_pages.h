/* Included before all else: makes the system look like one whose pages are 64 KiB large. What its
 * kernel would refuse or round is refused or rounded here; memory comes in large pages. */
#ifndef GREENLANE_TESTS_LARGE_PAGES_H
#define GREENLANE_TESTS_LARGE_PAGES_H

#if !defined(__ASSEMBLER__)

#include "check.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LARGE_PAGE = 65536, PAGE_HERE = 4096 };

static inline size_t
large_length(size_t length)
{
    return (length + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
}

/* EINVAL there. */
static inline void
check_large_address(const void *address)
{
    CHECK((uintptr_t)address % LARGE_PAGE == 0);
}

static inline long
large_sysconf(int name)
{
    return name == _SC_PAGESIZE ? LARGE_PAGE : sysconf(name);
}

static inline void *
large_mmap(void *wanted, size_t length, int protection, int flags, int file, off_t offset)
{
    length = large_length(length);
    char *map = mmap(wanted, length + LARGE_PAGE, protection, flags, file, offset);
    if (map == MAP_FAILED) {
        return map;
    }
    size_t over = (uintptr_t)map % LARGE_PAGE;
    over = over > 0 ? LARGE_PAGE - over : 0;
    if (over > 0) {
        munmap(map, over);
    }
    munmap(map + over + length, LARGE_PAGE - over);
    return map + over;
}

static inline int
large_munmap(void *address, size_t length)
{
    check_large_address(address);
    return munmap(address, large_length(length));
}

static inline int
large_mprotect(void *address, size_t length, int protection)
{
    check_large_address(address);
    return mprotect(address, large_length(length), protection);
}

static inline int
large_madvise(void *address, size_t length, int advice)
{
    check_large_address(address);
    return madvise(address, large_length(length), advice);
}

/* A large page is in memory if any part of it is. */
static inline int
large_mincore(void *address, size_t length, unsigned char *map)
{
    check_large_address(address);
    for (size_t i = 0; i < large_length(length) / LARGE_PAGE; i++) {
        unsigned char parts[LARGE_PAGE / PAGE_HERE];
        CHECK(mincore((char *)address + i * LARGE_PAGE, LARGE_PAGE, parts) == 0);
        map[i] = 0;
        for (size_t j = 0; j < sizeof parts; j++) {
            map[i] |= parts[j] & 1;
        }
    }
    return 0;
}

#define sysconf large_sysconf
#define mmap large_mmap
#define munmap large_munmap
#define mprotect large_mprotect
#define madvise large_madvise
#define mincore large_mincore

#endif

#endif
