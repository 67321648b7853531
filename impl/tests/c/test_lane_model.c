/* Lanes against a model: random tenants come, run in turn, and go, while the system refuses memory
 * now and then.
 *
 *     test_lane_model STEPS [SEED]
 *
 * Compiled with -DGL_LIBFUZZER and clang's -fsanitize=fuzzer it is a fuzz target instead, where the
 * input decides in place of chance (`tox run -e fuzz-lanes`).
 *
 * The model knows what each tenant has put on its stack and, if it got one, into its tail; who is
 * bound to which lane; and how much is mapped. All of that is compared with lane.c, which is
 * included, so that what it asks of the system goes through the functions below. `meson setup
 * -Dmodel_steps=N` makes the run longer. */
#include "context/lane.h"

#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- The system, as lane.c sees it ----------------------------------------------------------- */

#ifdef GL_LIBFUZZER

static const uint8_t *input;
static size_t input_left;

/* A number below `bound` from the input; 0 when that is over. */
static size_t
below(size_t bound)
{
    size_t value = 0;
    for (size_t i = 0; i < 2 && input_left > 0; i++, input_left--) {
        value = value << 8 | *input++;
    }
    return value % bound;
}

#else

static uint64_t random_state;

/* A random number below `bound` (xorshift64*). */
static size_t
below(size_t bound)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)((random_state * 0x2545F4914F6CDD1DU) >> 33) % bound;
}

#endif

static bool is_stormy;  /* is anything refused? */
static size_t mapped;   /* bytes */
static size_t refusals; /* of any kind */

static bool
refused(void)
{
    if (!is_stormy || below(4) != 0) {
        return false;
    }
    refusals++;
    return true;
}

static void *
model_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    if (refused()) {
        return MAP_FAILED;
    }
    void *map = mmap(address, size, protection, flags, file, offset);
    mapped += map != MAP_FAILED ? size : 0;
    return map;
}

enum { MOST_STUCK = 1000 };

static struct {
    void *address;
    size_t size;
} stuck[MOST_STUCK]; /* what was to be unmapped when that was refused */
static size_t stuck_count;

static int
model_munmap(void *address, size_t size)
{
    if (stuck_count < MOST_STUCK && refused()) {
        stuck[stuck_count].address = address;
        stuck[stuck_count++].size = size;
        return -1;
    }
    mapped -= size;
    return munmap(address, size);
}

static int
model_mprotect(void *address, size_t size, int protection)
{
    return refused() ? -1 : mprotect(address, size, protection);
}

static int
model_madvise(void *address, size_t size, int advice)
{
    return refused() ? -1 : madvise(address, size, advice);
}

static void *
model_malloc(size_t size)
{
    return refused() ? NULL : malloc(size);
}

static void *
model_realloc(void *block, size_t size)
{
    return refused() ? NULL : realloc(block, size);
}

#define mmap model_mmap
#define munmap model_munmap
#define mprotect model_mprotect
#define madvise model_madvise
#define malloc model_malloc
#define realloc model_realloc
#include "../../src/context/lane.c" /* NOLINT(bugprone-suspicious-include) */

/* ---- The model ------------------------------------------------------------------------------- */

enum { MOST_TENANTS = 300, LARGEST_STACK = 20000, MOST_TAILS = 40 };

typedef struct {
    gl_lane *lane;   /* NULL: no such tenant */
    size_t stack;    /* bytes that it uses */
    gl_slice *slice; /* if it is not the occupant */
    bool is_closed;  /* has its pool been closed? */
    bool is_own;
    bool has_tail;
    unsigned char tag;
} tenant;

static tenant tenants[MOST_TENANTS];
static struct {
    char *start;
    char *page; /* from here on the lane's pages stay for its sake */
    char *end;
    unsigned char tag;
} tails[MOST_TAILS];
static size_t tail_count;
static gl_lane_pool pool;

static bool
is_filled(const char *start, size_t size, unsigned char tag)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)start[i] != (unsigned char)(tag + i * 7)) {
            return false;
        }
    }
    return true;
}

static void
fill(char *start, size_t size, unsigned char tag)
{
    for (size_t i = 0; i < size; i++) {
        start[i] = (char)(unsigned char)(tag + i * 7);
    }
}

static char *
stack_of(const tenant *one)
{
    return (char *)gl_lane_top(one->lane) - one->stack;
}

/* Is all that this tenant has left where it left it? */
static void
check_tenant(const tenant *one)
{
    if (one->slice != NULL) {
        CHECK(one->lane->occupant != one);
        CHECK(one->slice->size == one->stack && one->slice->capacity >= one->stack);
        CHECK(is_filled(one->slice->data, one->stack, one->tag));
    }
    else {
        CHECK(one->lane->occupant == one);
        CHECK(is_filled(stack_of(one), one->stack, one->tag));
    }
    if (one->has_tail) {
        CHECK(is_filled(gl_lane_tail(one->lane), 256, one->tag));
    }
    CHECK(one->is_own == !one->lane->is_shared);
}

static void
check_all(void)
{
    size_t own = 0;
    unsigned sharing = 0;
    for (const tenant *one = tenants; one < tenants + MOST_TENANTS; one++) {
        if (one->lane == NULL) {
            continue;
        }
        check_tenant(one);
        unsigned bound = 0;
        for (const tenant *other = tenants; other < tenants + MOST_TENANTS; other++) {
            if (other->lane == one->lane) {
                bound++;
                CHECK(other == one || !one->is_own);
            }
            else if (other->lane != NULL) {
                CHECK(one->lane->end <= other->lane->low - GL_LANE_GUARD ||
                      other->lane->end <= one->lane->low - GL_LANE_GUARD);
            }
        }
        CHECK(one->lane->bound == bound);
        own += one->is_own && !one->is_closed;
        sharing += !one->is_own && !one->is_closed;
    }
    CHECK(pool.own_count == own);
    CHECK(pool.idle_count <= MAX_IDLE_LANES && pool.idle_count <= pool.idle_capacity);
    for (size_t i = 0; i < GL_SHARED_LANES; i++) {
        sharing -= pool.shared[i] != NULL ? pool.shared[i]->bound : 0;
    }
    CHECK(sharing == 0);
    for (size_t i = 0; i < tail_count; i++) {
        CHECK(is_filled(tails[i].start, 256, tails[i].tag));
    }
}

/* ---- What tenants do ------------------------------------------------------------------------- */

/* Moves the occupant of a lane out. False if there is no memory for it. */
static bool
clear_lane(gl_lane *lane)
{
    tenant *out = lane->occupant;
    if (out == NULL) {
        return true;
    }
    gl_slice *slice = gl_slice_new(out->stack);
    if (slice == NULL) {
        return false;
    }
    gl_lane_evict(lane, stack_of(out), slice);
    out->slice = slice;
    lane->occupant = NULL;
    return true;
}

static void
come(tenant *one)
{
    const tenant *other = &tenants[below(MOST_TENANTS)];
    gl_lane *standing = other->is_closed ? NULL : other->lane;
    bool is_room = pool.own_count < pool.limit;
    size_t refusals_before = refusals;
    gl_lane *lane = gl_lane_bind(&pool, standing);
    if (lane == NULL) {
        CHECK(refusals > refusals_before || pool.shared_refused);
        return;
    }
    CHECK(lane->is_shared || is_room);
    CHECK(!lane->is_shared || !is_room || refusals > refusals_before);
    if (!clear_lane(lane)) {
        gl_lane_unbind(&pool, lane);
        return;
    }
    *one = (tenant){.lane = lane, .is_own = !lane->is_shared, .tag = (unsigned char)below(256)};
    one->stack = below(LARGEST_STACK) / 16 * 16;
    lane->occupant = one;
    fill(stack_of(one), one->stack, one->tag);
    if (one->is_own || !lane->tail_used) {
        one->has_tail = true;
        lane->tail_used = !one->is_own;
        fill(gl_lane_tail(lane), 256, one->tag);
    }
}

static void
run(tenant *one)
{
    if (one->slice != NULL) {
        if (!clear_lane(one->lane)) {
            return;
        }
        gl_lane_restore(one->lane, one->slice);
        one->lane->occupant = one;
        free(one->slice);
        one->slice = NULL;
    }
    check_tenant(one);
    one->stack = below(LARGEST_STACK) / 16 * 16;
    fill(stack_of(one), one->stack, one->tag);
}

static void
go(tenant *one)
{
    gl_lane *lane = one->lane;
    check_tenant(one);
    free(one->slice);
    if (one->slice == NULL) {
        lane->occupant = NULL;
    }
    bool keeps_tail = one->has_tail && tail_count < MOST_TAILS && below(50) == 0;
    if (keeps_tail) {
        tails[tail_count].start = gl_lane_tail(lane);
        tails[tail_count].page = (char *)((uintptr_t)lane / gl_memory_page() * gl_memory_page());
        tails[tail_count].end = lane->end;
        tails[tail_count++].tag = one->tag;
        gl_lane_unbind_but_tail(one->is_closed ? NULL : &pool, lane);
    }
    else {
        if (one->has_tail) {
            lane->tail_used = false;
        }
        if (one->is_closed) {
            gl_lane_unbind_closed(lane);
        }
        else {
            gl_lane_unbind(&pool, lane);
        }
    }
    one->lane = NULL;
}

static void
begin(void)
{
    static const size_t limits[] = {0, 1, 2, 64, 1000000};
    gl_lane_pool_open(&pool, limits[below(5)]);
}

static void
step(void)
{
    tenant *one = &tenants[below(MOST_TENANTS)];
    size_t what = below(10000);
    if (what < 2) {
        gl_lane_pool_close(&pool);
        for (tenant *each = tenants; each < tenants + MOST_TENANTS; each++) {
            each->is_closed = true;
        }
        begin();
    }
    else if (what < 10) {
        pool.limit = below(MOST_TENANTS);
        pool.limited_by = GL_LIMITED_BY_NOTHING;
    }
    else if (what < 30) {
        is_stormy = !is_stormy;
    }
    else if (what < 60) {
        check_all();
    }
    else if (one->lane == NULL) {
        come(one);
    }
    else if (what < 3000) {
        go(one);
    }
    else {
        run(one);
    }
}

/* Everybody goes, and nothing is left mapped but what could not be unmapped. */
static void
end(void)
{
    is_stormy = false;
    check_all();
    for (tenant *one = tenants; one < tenants + MOST_TENANTS; one++) {
        if (one->lane != NULL) {
            go(one);
        }
    }
    check_all();
    gl_lane_pool_close(&pool);
    for (; tail_count > 0; tail_count--) {
        char *page = tails[tail_count - 1].page;
        CHECK(model_munmap(page, (size_t)(tails[tail_count - 1].end - page)) == 0);
    }
    for (; stuck_count > 0; stuck_count--) {
        CHECK(model_munmap(stuck[stuck_count - 1].address, stuck[stuck_count - 1].size) == 0);
    }
    CHECK(mapped == 0);
}

#ifdef GL_LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_left = size;
    memset(tenants, 0, sizeof tenants);
    begin();
    while (input_left > 0) {
        step();
    }
    end();
    return 0;
}

#else

int
main(int count, char **arguments)
{
    size_t steps = count > 1 ? strtoul(arguments[1], NULL, 10) : 1000;
    uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    random_state = seed * 0x9E3779B97F4A7C15U + 1;
    begin();
    for (size_t i = 0; i < steps; i++) {
        step();
    }
    end();
    printf("%zu steps, %zu refusals\n", steps, refusals);
    return 0;
}

#endif
