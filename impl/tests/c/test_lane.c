/* Lanes: what is promised of their memory. */
#include "check.h"
#include "context/lane.h"

#include "context/switch.h"
#include "system.h"

#include <stdint.h>
#include <string.h>

enum { MANY = 200 };

/* Writes to `size` bytes of a lane's stack, as somebody does who runs on it: by their addresses
 * from elsewhere not all of it can be had everywhere. */
static void *digger;

static void *
dig_here(void *argument)
{
    const size_t size = *(const size_t *)argument;
    char hole[size];
    memset(hole, 1, size);
    CHECK(((volatile char *)hole)[size / 2] == 1);
    return digger;
}

static void
dig(gl_lane *lane, size_t size)
{
    gl_context_start(&digger, gl_lane_top(lane), dig_here, &size);
}

static void
test_memory_is_usable_and_guarded(void)
{
    gl_lane_pool pool;
    gl_lane_pool_open(&pool, 1000000);
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    CHECK(lane != NULL);
    char *tail = gl_lane_tail(lane);
    size_t tail_size = gl_lane_tail_size(lane);
    char *top = gl_lane_top(lane);
    CHECK((uintptr_t)top % 16 == 0);
    CHECK((uintptr_t)lane->low % GL_LARGEST_PAGE == 0);
    CHECK((uintptr_t)lane->end % GL_LARGEST_PAGE == 0);
    CHECK(tail_size >= GL_LANE_TAIL / 2);
    CHECK((size_t)(top - lane->low) > GL_LANE_SIZE - GL_LANE_GUARD - GL_LANE_TAIL);
    dig(lane, (size_t)(top - lane->low) - LEFT_OF_STACK);
    memset(tail, 2, tail_size);
    CHECK(!faults(lane->low + LEFT_OF_STACK));
    CHECK(faults(lane->low - 1));
    CHECK(faults(lane->low - GL_LANE_GUARD));
    gl_lane_unbind(&pool, lane);
    gl_lane_pool_close(&pool);
}

static void
test_lanes_do_not_overlap(void)
{
    static gl_lane *lanes[MANY];
    gl_lane_pool pool;
    gl_lane_pool_open(&pool, 1000000);
    for (int i = 0; i < MANY; i++) {
        lanes[i] = gl_lane_bind(&pool, NULL);
        CHECK(lanes[i] != NULL);
        for (int j = 0; j < i; j++) {
            CHECK(lanes[i]->end <= lanes[j]->low - GL_LANE_GUARD ||
                  lanes[j]->end <= lanes[i]->low - GL_LANE_GUARD);
        }
    }
    CHECK(pool.own_count == MANY);
    for (int i = 0; i < MANY; i++) {
        gl_lane_unbind(&pool, lanes[i]);
    }
    CHECK(pool.own_count == 0);
    CHECK(pool.idle_count == MANY);
    gl_lane_pool_close(&pool);
}

static void
test_the_lane_last_released_is_reused_first(void)
{
    gl_lane_pool pool;
    gl_lane_pool_open(&pool, 1000000);
    gl_lane *first = gl_lane_bind(&pool, NULL);
    gl_lane *second = gl_lane_bind(&pool, NULL);
    gl_lane_unbind(&pool, first);
    gl_lane_unbind(&pool, second);
    CHECK(gl_lane_bind(&pool, NULL) == second);
    CHECK(gl_lane_bind(&pool, NULL) == first);
    gl_lane_unbind(&pool, first);
    gl_lane_unbind(&pool, second);
    gl_lane_pool_close(&pool);
}

static void
test_idle_lanes_do_not_keep_deep_stacks(void)
{
    static gl_lane *lanes[MANY];
    gl_lane_pool pool;
    gl_lane_pool_open(&pool, 1000000);
    for (int i = 0; i < MANY; i++) {
        lanes[i] = gl_lane_bind(&pool, NULL);
        dig(lanes[i], (size_t)1 << 20);
    }
    for (int i = 0; i < MANY; i++) {
        gl_lane_unbind(&pool, lanes[i]);
    }
    size_t bytes = 0;
    for (int i = 0; i < MANY; i++) {
        bytes += bytes_in_use(lanes[i]);
    }
    /* All but a few warm ones keep a few pages each, not the megabyte that they touched. */
    const size_t few = 30 * (size_t)4096 + 2 * (size_t)(GL_LARGEST_PAGE - 4096);
    CHECK(bytes < MANY * few);
    gl_lane_pool_close(&pool);
}

#if !defined(_WIN32)
static void
test_refused_memory_is_null_and_the_pool_goes_on(void)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        gl_lane_pool pool;
        gl_lane_pool_open(&pool, 1000000);
        gl_lane *kept = gl_lane_bind(&pool, NULL);
        CHECK(kept != NULL);
        /* From here on no mapping can be made; what is left of the slab still serves, in the end as
         * shared lanes or not at all. */
        struct rlimit none = {0, 0};
        CHECK(setrlimit(RLIMIT_AS, &none) == 0);
        if (mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
            puts("not tested: this emulator keeps no limits");
            exit(0);
        }
        gl_lane *last = kept;
        size_t count = 0;
        while (last != NULL && !last->is_shared) {
            last = gl_lane_bind(&pool, NULL);
            CHECK(++count < 1000);
        }
        gl_lane_unbind(&pool, kept);
        CHECK(gl_lane_bind(&pool, NULL) == kept);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

static void
test_lanes_are_shared_past_the_limit(void)
{
    enum { OWN = 5, TENANTS = 100 };
    static gl_lane *lanes[TENANTS];
    gl_lane_pool pool;
    gl_lane_pool_open(&pool, OWN);
    for (int i = 0; i < TENANTS; i++) {
        lanes[i] = gl_lane_bind(&pool, i > 0 ? lanes[i - 1] : NULL);
        CHECK(lanes[i] != NULL);
        CHECK(lanes[i]->is_shared == (i >= OWN));
        /* Not the one that the caller stands on, as there are others. */
        CHECK(i == 0 || lanes[i] != lanes[i - 1]);
    }
    unsigned bound = 0;
    for (int i = 0; i < GL_SHARED_LANES; i++) {
        CHECK(pool.shared[i]->bound >= (TENANTS - OWN) / GL_SHARED_LANES);
        bound += pool.shared[i]->bound;
    }
    CHECK(bound == TENANTS - OWN);
    /* One that goes makes room for one with a lane of its own. */
    gl_lane_unbind(&pool, lanes[0]);
    lanes[0] = gl_lane_bind(&pool, NULL);
    CHECK(!lanes[0]->is_shared);
    for (int i = 0; i < TENANTS; i++) {
        gl_lane_unbind(&pool, lanes[i]);
    }
    gl_lane_pool_close(&pool);
}

static void
fill(char *start, const char *end, size_t tag)
{
    for (; start < end; start++) {
        *start = (char)(tag * 31 + (uintptr_t)end - (uintptr_t)start);
    }
}

static bool
is_filled(const char *start, const char *end, size_t tag)
{
    for (; start < end; start++) {
        if (*start != (char)(tag * 31 + (uintptr_t)end - (uintptr_t)start)) {
            return false;
        }
    }
    return true;
}

/* Stacks of all sizes take turns on one lane; each finds its own contents again. */
static void
test_eviction(void)
{
    enum { TENANTS = 40, ROUNDS = 2000, LARGEST = 5000 };
    gl_lane_pool pool;
    gl_lane_pool_open(&pool, 0);
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    char *top = gl_lane_top(lane);
    gl_slice *slices[TENANTS];
    size_t sizes[TENANTS];
    size_t random = 12345;
    for (unsigned i = 0; i < TENANTS; i++) {
        random = random * 1103515245 + 12345;
        sizes[i] = (random >> 8) % LARGEST / 8 * 8;
        slices[i] = gl_slice_new(LARGEST);
        CHECK(slices[i] != NULL);
        CHECK(slices[i]->size == 0 && slices[i]->capacity >= LARGEST);
        fill(top - sizes[i], top, i);
        gl_lane_evict(lane, top - sizes[i], slices[i]);
        CHECK(slices[i]->size == sizes[i]);
        CHECK(is_filled(slices[i]->data, slices[i]->data + sizes[i], i));
    }
    unsigned occupant = 0;
    gl_lane_restore(lane, slices[0]);
    gl_slice *spare = slices[0];
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1103515245 + 12345;
        unsigned next = (unsigned)(random >> 8) % TENANTS;
        if (next == occupant) {
            continue;
        }
        CHECK(is_filled(top - sizes[occupant], top, occupant));
        gl_lane_evict(lane, top - sizes[occupant], spare);
        gl_lane_restore(lane, slices[next]);
        slices[occupant] = spare;
        spare = slices[next];
        occupant = next;
    }
    CHECK(is_filled(top - sizes[occupant], top, occupant));
    for (unsigned i = 0; i < TENANTS; i++) {
        if (i != occupant) {
            free(slices[i]);
        }
    }
    free(spare);
    gl_lane_unbind(&pool, lane);
    gl_lane_pool_close(&pool);
}

int
main(void)
{
    test_memory_is_usable_and_guarded();
    test_lanes_do_not_overlap();
    test_the_lane_last_released_is_reused_first();
    test_idle_lanes_do_not_keep_deep_stacks();
#if !defined(_WIN32)
    test_refused_memory_is_null_and_the_pool_goes_on();
#endif
    test_lanes_are_shared_past_the_limit();
    test_eviction();
    return 0;
}
