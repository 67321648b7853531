/* What Windows knows of the stack that a thread runs on: it must be that of the lane, or the stack
 * does not grow, and exceptions find no handler. */
#include "check.h"
#include "context/lane.h"
#include "context/switch.h"
#include "system.h"

#include <string.h>

enum {
    LARGE = 1 << 20,    /* bytes of a large frame */
    DEEP = 4 << 20,     /* bytes of many small ones */
    FILTERED = 42,      /* exit codes: of a process whose unhandled exceptions are filtered, */
    OVERFLOW_SEEN = 43, /* and of one that is told of an overflow */
};

/* registers/x86_64_win64.S */
void bounds_in_teb(char **base, char **limit);
int read_from(const char *address);

static gl_lane_pool pool;
static void *main_sp;
static void *other_sp;

typedef struct {
    char *base;
    char *limit;
    char *low;
} bounds;

static bounds
bounds_now(void)
{
    ULONG_PTR low;
    ULONG_PTR base;
    GetCurrentThreadStackLimits(&low, &base);
    bounds now = {.low = (char *)low};
    bounds_in_teb(&now.base, &now.limit);
    CHECK((char *)base == now.base);
    return now;
}

static void
check_bounds_of(const gl_lane *lane)
{
    bounds now = bounds_now();
    char *here = __builtin_frame_address(0);
    CHECK(now.base == (const char *)lane);
    CHECK(now.low == lane->low);
    CHECK(now.low <= now.limit && now.limit <= here && here < now.base);
    /* All that is said to be committed is, and the next page is not yet of use. */
    CHECK(!faults(now.limit));
    CHECK(lane->is_shared || faults(now.limit - 1));
}

/* A frame far larger than the guard page. The compiler's probes look at StackLimit. */
__attribute__((noinline)) static void
use_large_frame(void)
{
    volatile char frame[LARGE];
    frame[0] = 1;
    frame[LARGE - 1] = 2;
    CHECK(frame[0] + frame[LARGE - 1] == 3);
}

/* Goes `deep` bytes down by small frames, and calls f(argument) there. */
__attribute__((noinline)) static int
descend(size_t deep, void (*f)(void *), void *argument)
{
    volatile char frame[2000];
    frame[0] = 1;
    if (deep < sizeof frame) {
        f(argument);
        return frame[0];
    }
    return descend(deep - sizeof frame, f, argument) + frame[0];
}

/* Reading from nowhere is an exception, which a handler makes good: what is read is 7. */
static char *volatile nowhere = (char *)16;
static int handled;

static LONG CALLBACK
make_good(EXCEPTION_POINTERS *exception)
{
    if (exception->ExceptionRecord->ExceptionCode != EXCEPTION_ACCESS_VIOLATION ||
        exception->ExceptionRecord->ExceptionInformation[1] != (ULONG_PTR)nowhere) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    handled++;
    exception->ContextRecord->Rip += 2; /* what follows the instruction */
    exception->ContextRecord->Rax = 7;
    return EXCEPTION_CONTINUE_EXECUTION;
}

static void
read_from_nowhere(void *argument)
{
    check_bounds_of(argument);
    CHECK(read_from(nowhere) == 7);
}

static void *
grow(void *argument)
{
    gl_lane *lane = argument;
    check_bounds_of(lane);
    read_from_nowhere(lane);
    use_large_frame();
    check_bounds_of(lane);
    CHECK(lane->is_shared || bounds_now().limit <= (char *)lane - LARGE);
    gl_context_switch(&other_sp, main_sp);
    check_bounds_of(lane);
    descend(DEEP, read_from_nowhere, lane);
    check_bounds_of(lane);
    CHECK(bounds_now().limit <= (char *)lane - DEEP);
    return main_sp;
}

static void
grow_on(gl_lane *lane, bool to_the_end)
{
    bounds outside = bounds_now();
    int before = handled;
    gl_context_start(&main_sp, gl_lane_top(lane), grow, lane);
    CHECK(memcmp(&outside, &(bounds[]){bounds_now()}, sizeof outside) == 0);
    if (to_the_end) {
        gl_context_switch(&main_sp, other_sp);
        CHECK(memcmp(&outside, &(bounds[]){bounds_now()}, sizeof outside) == 0);
    }
    CHECK(handled == before + 1 + to_the_end);
}

static void
test_stacks_grow(void)
{
    gl_lane_pool_open(&pool, 100);
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    grow_on(lane, true);
    CHECK(lane->limit <= (char *)lane - DEEP);
    gl_lane_unbind(&pool, lane);
}

static void *
look(void *argument)
{
    check_bounds_of(argument);
    descend(DEEP, read_from_nowhere, argument);
    check_bounds_of(argument);
    return main_sp;
}

static void
test_lanes_used_before(void)
{
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    gl_context_start(&main_sp, gl_lane_top(lane), look, lane);
    gl_lane_unbind(&pool, lane);
    CHECK(gl_lane_bind(&pool, NULL) == lane);
    grow_on(lane, false); /* suspended, and never continued */
    gl_lane_unbind(&pool, lane);
    CHECK(gl_lane_bind(&pool, NULL) == lane);
    gl_context_start(&main_sp, gl_lane_top(lane), look, lane);
    /* Idle below many others it is trimmed. */
    gl_lane *others[40];
    for (int i = 0; i < 40; i++) {
        others[i] = gl_lane_bind(&pool, NULL);
    }
    gl_lane_unbind(&pool, lane);
    for (int i = 0; i < 40; i++) {
        gl_lane_unbind(&pool, others[i]);
    }
    CHECK(lane->trimmed && bytes_in_use(lane) < 20 * 4096);
    for (int i = 0; i < 40; i++) {
        others[i] = gl_lane_bind(&pool, NULL);
    }
    CHECK(gl_lane_bind(&pool, NULL) == lane);
    gl_context_start(&main_sp, gl_lane_top(lane), look, lane);
    gl_lane_unbind(&pool, lane);
    for (int i = 0; i < 40; i++) {
        gl_lane_unbind(&pool, others[i]);
    }
    gl_lane_pool_close(&pool);
}

/* Several on one lane: one that went deep is evicted, and comes back. */
static void
test_shared_lane(void)
{
    gl_lane_pool_open(&pool, 0);
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    CHECK(lane->is_shared);
    grow_on(lane, false);
    void *first = other_sp;
    gl_slice *slice = gl_slice_new((size_t)((char *)lane - (char *)first));
    gl_lane_evict(lane, first, slice);
    gl_context_start(&main_sp, gl_lane_top(lane), look, lane);
    gl_lane_restore(lane, slice);
    free(slice);
    gl_context_switch(&main_sp, first);
    gl_lane_unbind(&pool, lane);
    gl_lane_pool_close(&pool);
}

/* ---- How a process ends -------------------------------------------------------------------- */

static void
start(gl_context_entry entry)
{
    gl_lane_pool_open(&pool, 100);
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    gl_context_start(&main_sp, gl_lane_top(lane), entry, lane);
}

static void *
fault(void *argument)
{
    *(volatile char *)nowhere = 0;
    return argument;
}

static void
fault_in_a_lane(void)
{
    start(fault);
}

static void *
touch_guard(void *argument)
{
    return (void *)(uintptr_t)((gl_lane *)argument)->low[-1];
}

static void
touch_guard_in_a_lane(void)
{
    start(touch_guard);
}

static LONG CALLBACK
filter(EXCEPTION_POINTERS *exception)
{
    ExitProcess(exception->ExceptionRecord->ExceptionCode == EXCEPTION_ACCESS_VIOLATION ? FILTERED
                                                                                        : 1);
}

static void
fault_and_filter(void)
{
    SetUnhandledExceptionFilter(filter);
    start(fault);
}

static LONG CALLBACK
see_overflow(EXCEPTION_POINTERS *exception)
{
    if (exception->ExceptionRecord->ExceptionCode == EXCEPTION_STACK_OVERFLOW) {
        ExitProcess(OVERFLOW_SEEN);
    }
    return EXCEPTION_CONTINUE_SEARCH;
}

static void
nothing(void *argument)
{
    (void)argument;
}

static void *
overflow(void *argument)
{
    descend(SIZE_MAX, nothing, NULL);
    return argument;
}

static void
overflow_in_a_lane(void)
{
    AddVectoredExceptionHandler(1, see_overflow);
    start(overflow);
}

static const program programs[] = {
    fault_in_a_lane,
    touch_guard_in_a_lane,
    fault_and_filter,
    overflow_in_a_lane,
};

int
main(int argc, char **argv)
{
    be_a_program(programs, argc, argv);
    AddVectoredExceptionHandler(1, make_good);
    test_stacks_grow();
    test_lanes_used_before();
    test_shared_lane();
    CHECK(ending_of(programs, 0) == ENDED_BY_FAULT);
    CHECK(ending_of(programs, 1) == ENDED_BY_FAULT);
    CHECK(exit_code_of(2) == FILTERED);
    CHECK(exit_code_of(3) == OVERFLOW_SEEN);
    return 0;
}
