/* Lanes: what is promised of their memory. */
#include "check.h"
#include "context/lane.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 300 };

/* Does reading this address kill the process? */
static int
faults(const char *address)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*(const volatile char *)address == 0 ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status);
}

static size_t
resident_pages(gl_lane *lane)
{
    static unsigned char map[(GL_LANE_SIZE >> 12) + 2];
    char *start = (char *)((uintptr_t)lane->low & ~(uintptr_t)4095);
    size_t length = (size_t)(lane->end - start);
    CHECK(mincore(start, length, map) == 0);
    size_t count = 0;
    for (size_t i = 0; i < length >> 12; i++) {
        count += map[i] & 1;
    }
    return count;
}

static void
test_memory_is_usable_and_guarded(void)
{
    gl_lane_pool pool = GL_LANE_POOL_INIT;
    gl_lane *lane = gl_lane_acquire(&pool);
    CHECK(lane != NULL);
    size_t tail_size;
    char *tail = gl_lane_tail(lane, &tail_size);
    char *top = gl_lane_top(lane);
    CHECK((uintptr_t)top % 16 == 0);
    CHECK(tail_size >= GL_LANE_TAIL / 2);
    CHECK((size_t)(top - lane->low) > GL_LANE_SIZE - GL_LANE_GUARD - GL_LANE_TAIL);
    memset(lane->low, 1, (size_t)(top - lane->low));
    memset(tail, 2, tail_size);
    CHECK(!faults(lane->low));
    CHECK(faults(lane->low - 1));
    CHECK(faults(lane->low - GL_LANE_GUARD));
    gl_lane_release(&pool, lane);
    gl_lane_pool_close(&pool);
}

static void
test_lanes_do_not_overlap(void)
{
    static gl_lane *lanes[MANY];
    gl_lane_pool pool = GL_LANE_POOL_INIT;
    for (int i = 0; i < MANY; i++) {
        lanes[i] = gl_lane_acquire(&pool);
        CHECK(lanes[i] != NULL);
        for (int j = 0; j < i; j++) {
            CHECK(lanes[i]->end <= lanes[j]->low - GL_LANE_GUARD ||
                  lanes[j]->end <= lanes[i]->low - GL_LANE_GUARD);
        }
    }
    CHECK(pool.live_count == MANY);
    for (int i = 0; i < MANY; i++) {
        gl_lane_release(&pool, lanes[i]);
    }
    CHECK(pool.live_count == 0);
    CHECK(pool.idle_count == MANY);
    gl_lane_pool_close(&pool);
}

static void
test_the_lane_last_released_is_reused_first(void)
{
    gl_lane_pool pool = GL_LANE_POOL_INIT;
    gl_lane *first = gl_lane_acquire(&pool);
    gl_lane *second = gl_lane_acquire(&pool);
    gl_lane_release(&pool, first);
    gl_lane_release(&pool, second);
    CHECK(gl_lane_acquire(&pool) == second);
    CHECK(gl_lane_acquire(&pool) == first);
    gl_lane_release(&pool, first);
    gl_lane_release(&pool, second);
    gl_lane_pool_close(&pool);
}

static void
test_idle_lanes_do_not_keep_deep_stacks(void)
{
    static gl_lane *lanes[MANY];
    gl_lane_pool pool = GL_LANE_POOL_INIT;
    for (int i = 0; i < MANY; i++) {
        lanes[i] = gl_lane_acquire(&pool);
        size_t deep = (size_t)1 << 20;
        memset((char *)gl_lane_top(lanes[i]) - deep, 1, deep);
    }
    for (int i = 0; i < MANY; i++) {
        gl_lane_release(&pool, lanes[i]);
    }
    size_t pages = 0;
    for (int i = 0; i < MANY; i++) {
        pages += resident_pages(lanes[i]);
    }
    /* All but a few warm ones keep a few pages each, not the 256 that they touched. */
    CHECK(pages < (size_t)MANY * 30);
    gl_lane_pool_close(&pool);
}

static void
test_refused_memory_is_null_and_the_pool_goes_on(void)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        gl_lane_pool pool = GL_LANE_POOL_INIT;
        gl_lane *kept = gl_lane_acquire(&pool);
        size_t count = 0;
        while (gl_lane_acquire(&pool) != NULL) {
            count++;
            if (count == 40) {
                /* From here on no mapping can be made; what is left of the slab still serves. */
                struct rlimit none = {0, 0};
                CHECK(setrlimit(RLIMIT_AS, &none) == 0);
            }
            CHECK(count < 1000);
        }
        gl_lane_release(&pool, kept);
        CHECK(gl_lane_acquire(&pool) == kept);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
    test_memory_is_usable_and_guarded();
    test_lanes_do_not_overlap();
    test_the_lane_last_released_is_reused_first();
    test_idle_lanes_do_not_keep_deep_stacks();
    test_refused_memory_is_null_and_the_pool_goes_on();
    return 0;
}
