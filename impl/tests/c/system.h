/* What the C tests ask of the system: is an address readable, what is in use, how does a process
 * end. */
#ifndef GREENLANE_TESTS_SYSTEM_H
#define GREENLANE_TESTS_SYSTEM_H

#include "check.h"
#include "context/lane.h"

#include <stdint.h>

/* A function that is run in a process of its own. It sets up all that it needs. */
typedef void (*program)(void);

typedef enum {
    ENDED_WELL,
    ENDED_BY_ABORT,
    ENDED_BY_FAULT,
    ENDED_OTHERWISE,
} ending;

#if defined(_WIN32)

#include <process.h>
#include <windows.h>

/* How much of a stack nobody can use: the last pages are the system's, for the handler of an
 * overflow. */
#define LEFT_OF_STACK ((size_t)32 << 10)

/* As the system says: a read would make a guard page an ordinary one. */
static inline bool
faults(const char *address)
{
    MEMORY_BASIC_INFORMATION region;
    CHECK(VirtualQuery(address, &region, sizeof region) != 0);
    return region.State != MEM_COMMIT || region.Protect != PAGE_READWRITE;
}

/* Bytes of the stack that are committed, without the guard page. */
static inline size_t
bytes_in_use(const gl_lane *lane)
{
    size_t bytes = 0;
    MEMORY_BASIC_INFORMATION region;
    for (char *at = lane->low; at < (const char *)lane; at += region.RegionSize) {
        CHECK(VirtualQuery(at, &region, sizeof region) != 0);
        if (region.State == MEM_COMMIT && region.Protect == PAGE_READWRITE) {
            bytes = (size_t)((const char *)lane - at);
        }
    }
    return bytes;
}

/* The exit code of a process that runs programs[number]. */
static char *name_of_this;

static inline unsigned
exit_code_of(int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    return (unsigned)_spawnl(_P_WAIT, name_of_this, name_of_this, "program", text, NULL);
}

static inline ending
ending_of(const program *programs, int number)
{
    (void)programs;
    switch (exit_code_of(number)) {
    case 0:
        return ENDED_WELL;
    case 3: /* what abort() exits with */
        return ENDED_BY_ABORT;
    case 0xC0000005: /* STATUS_ACCESS_VIOLATION */
    case 0xC00000FD: /* STATUS_STACK_OVERFLOW */
        return ENDED_BY_FAULT;
    default:
        return ENDED_OTHERWISE;
    }
}

/* Call first in main(): a process cannot be copied here, so it starts this executable again. */
static inline void
be_a_program(const program *programs, int argc, char **argv)
{
    name_of_this = argv[0];
    if (argc == 3) {
        programs[atoi(argv[2])]();
        exit(0);
    }
}

#else

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* How much of a stack the function needs that uses all of it. AddressSanitizer has a memset of its
 * own, which is looked up at its first call. */
#if defined(GL_ASAN)
#define LEFT_OF_STACK ((size_t)64 << 10)
#else
#define LEFT_OF_STACK ((size_t)4 << 10)
#endif

static inline ending
how_it_ended(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) {
        return WTERMSIG(status) == SIGABRT                                 ? ENDED_BY_ABORT
               : WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS ? ENDED_BY_FAULT
                                                                           : ENDED_OTHERWISE;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ENDED_WELL : ENDED_OTHERWISE;
}

static inline bool
faults(const char *address)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        (void)*(const volatile char *)address;
        _exit(0);
    }
    ending how = how_it_ended(child);
    CHECK(how == ENDED_WELL || how == ENDED_BY_FAULT);
    return how == ENDED_BY_FAULT;
}

/* Bytes of pages that are in memory. */
static inline size_t
bytes_in_use(const gl_lane *lane)
{
    static unsigned char map[(GL_LANE_SIZE >> 12) + 1];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *start = (char *)((uintptr_t)lane->low & ~(page - 1));
    size_t length = (size_t)(lane->end - start);
    CHECK(mincore(start, length, (void *)map) == 0);
    size_t count = 0;
    for (size_t i = 0; i < length / page; i++) {
        count += map[i] & 1;
    }
    return count * page;
}

static inline ending
ending_of(const program *programs, int number)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
        CHECK(freopen("/dev/null", "w", stderr) != NULL);
        signal(SIGABRT, SIG_DFL);
        programs[number]();
        _exit(0);
    }
    return how_it_ended(child);
}

static inline void
be_a_program(const program *programs, int argc, char **argv)
{
    (void)programs;
    (void)argc;
    (void)argv;
}

#endif

#endif
