/* The context switch: registers, control words, alignment, order, what is left of a suspended
 * context, and where backtraces end.
 *
 * Most of it is a random walk among contexts, each of which fills all callee-saved registers with
 * values of its own before every switch and checks them after it. */
#include "check.h"
#include "context/lane.h"
#include "context/switch.h"
#include "context/valgrind.h"
#include "registers.h"

#include <fenv.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unwind.h>

enum { CONTEXTS = 16 };

typedef struct {
    void *sp;
    gl_lane *lane;
    bool started;
    long switches;
} context;

static gl_lane_pool pool;
static context contexts[CONTEXTS];
static int current;
static long steps;
static long steps_wanted;
static uint64_t seed = 88172645463325252u;

/* Soft-float code knows one rounding mode only. */
static const int roundings[] = {
    FE_TONEAREST,
#if !defined(__ARM_EABI__) || defined(__ARM_FP)
    FE_DOWNWARD,
    FE_UPWARD,
    FE_TOWARDZERO,
#endif
};

static uint64_t
next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* The same random values in both. */
static void
fill(uint32_t *values, uint32_t *copy)
{
    for (int i = 0; i < REGISTER_WORDS; i++) {
        values[i] = copy[i] = (uint32_t)next_random();
    }
}

enum { BELOW = 4096 };

/* Overwrites what a stack has right below `top`. Nobody runs on it. */
static void
overwrite(void *top, size_t size, int byte)
{
    char *low = (char *)top - size;
    gl_asan_clear(low, top);
    gl_valgrind_allow(low, size);
    memset(low, byte, size);
}

/* The alignment of the stack pointer at a call, and of that of a suspended context. */
#if defined(__s390x__) || defined(__arm__)
enum { CALL_ALIGNMENT = 8, SUSPENDED_ALIGNMENT = 8 };
#elif defined(__i386__)
enum { CALL_ALIGNMENT = 16, SUSPENDED_ALIGNMENT = 4 };
#else
enum { CALL_ALIGNMENT = 16, SUSPENDED_ALIGNMENT = 16 };
#endif

/* Makes a call that suspends the caller, whose stack pointer is in *save then. */
static void
call_and_return(uint32_t *values, prepared_call *call, void **save)
{
#if defined(GL_ASAN)
    gl_asan_stack here;
    gl_asan_leave(&here);
#endif
    call_with_registers(values, call);
#if defined(GL_ASAN)
    gl_asan_arrive(&here);
#endif
    CHECK((uintptr_t)*save % SUSPENDED_ALIGNMENT == 0);
    CHECK((uintptr_t)*save < (uintptr_t)call->sp);
    CHECK((uintptr_t)call->sp - (uintptr_t)*save <= GL_CONTEXT_SIZE);
}

/* gl_context_switch with these values in the registers. */
static void
switch_with(uint32_t *values, void **save, void *resume)
{
    prepared_call call = {(void (*)(void))gl_context_switch, {save, resume}, NULL};
    call_and_return(values, &call, save);
}

/* The same for gl_context_start. */
static void
start_with(uint32_t *values, void **save, void *top, gl_context_entry entry, void *argument)
{
#if defined(GL_ASAN)
    gl_asan_next = (gl_asan_beginning){top, entry, argument};
    entry = gl_asan_begin;
    argument = &gl_asan_next;
#endif
    prepared_call call = {
        (void (*)(void))gl_context_start, {save, top, (void *)entry, argument}, NULL};
    call_and_return(values, &call, save);
}

static void
check_rounding(int rounding)
{
    CHECK(fegetround() == rounding);
#if defined(FE_UPWARD)
    /* On x86 fegetround() reads the control word of the x87 unit; the vector unit has one of its
     * own, which shows in what it computes, */
    volatile double third = 1.0;
    third /= 3.0;
    volatile double up = 0x1.5555555555556p-2;
    CHECK((third == up) == (rounding == FE_UPWARD));
#endif
#if defined(__i386__)
    /* unless the compiler lets the x87 unit do that as well. */
    static const int bits[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    CHECK(bits[get_vector_control() >> 13 & 3] == rounding);
#endif
}

/* What else the control words say: which floating-point exceptions trap (none that happens here;
 * some units cannot trap at all), and how decimal numbers are rounded. */
static uint64_t
get_control(void)
{
    uint64_t found = 0;
#if defined(__GLIBC__)
    found = (uint64_t)(unsigned)fegetexcept() << 8;
#endif
#if defined(__i386__) || defined(__x86_64__)
    found |= get_vector_control() >> 7 & 0x3f;
#elif defined(__powerpc64__) || defined(__s390x__)
    found |= get_decimal_rounding();
#endif
    return found;
}

static uint64_t
set_control(unsigned bits)
{
    (void)bits; /* where there is nothing to set */
#if defined(__GLIBC__)
    fedisableexcept(FE_ALL_EXCEPT);
    feenableexcept((int)bits & (FE_DIVBYZERO | FE_OVERFLOW | FE_INVALID));
#endif
#if defined(__powerpc64__) || defined(__s390x__)
    set_decimal_rounding(bits & 7);
#endif
    return get_control();
}

static void *walk(void *argument);

/* Context 0 is the thread's own stack; the others are lanes. All do this. */
static void
wander(context *self)
{
    while (steps < steps_wanted) {
        steps++;
        context *target = &contexts[next_random() % CONTEXTS];
        if (target == self) {
            continue;
        }
        uint32_t values[REGISTER_WORDS];
        _Alignas(16) uint32_t after[REGISTER_WORDS];
        fill(values, after);
        int rounding = roundings[next_random() % (sizeof roundings / sizeof *roundings)];
        CHECK(fesetround(rounding) == 0);
        uint64_t control = set_control((unsigned)next_random());
        current = (int)(target - contexts);
        if (target->started) {
            switch_with(after, &self->sp, target->sp);
        }
        else {
            target->started = true;
            start_with(after, &self->sp, gl_lane_top(target->lane), walk, target);
        }
        CHECK(&contexts[current] == self);
        CHECK(memcmp(values, after, sizeof values) == 0);
        check_rounding(rounding);
        CHECK(get_control() == control);
        self->switches++;
    }
}

static void *
walk(void *argument)
{
    context *self = argument;
    /* A store that faults unless the stack is aligned as the ABI says. */
    typedef float vector __attribute__((vector_size(16)));
    volatile vector aligned = {1, 2, 3, 4};
    volatile uintptr_t address = (uintptr_t)&aligned; /* or the compiler knows the answer */
    CHECK(address % _Alignof(vector) == 0);
    CHECK((char *)__builtin_frame_address(0) <= (char *)gl_lane_top(self->lane));
    CHECK((char *)__builtin_frame_address(0) > self->lane->low);
    wander(self);
    /* The walk is over: everybody goes home, to context 0. */
    current = 0;
    return contexts[0].sp;
}

static void
test_random_walk(void)
{
    gl_lane before[CONTEXTS];
    contexts[0].started = true;
    for (int i = 1; i < CONTEXTS; i++) {
        gl_lane *lane = gl_lane_bind(&pool, NULL);
        CHECK(lane != NULL);
        contexts[i].lane = lane;
        before[i] = *lane;
        memset(gl_lane_tail(lane), i, gl_lane_tail_size(lane));
    }
    wander(&contexts[0]);
    fesetround(FE_TONEAREST);
    set_control(0);
    /* What lies above the top of a stack is not for the functions that run on it. */
    for (int i = 1; i < CONTEXTS; i++) {
        gl_lane *lane = contexts[i].lane;
        CHECK(lane->low == before[i].low && lane->end == before[i].end);
        CHECK(lane->occupant == before[i].occupant && lane->bound == before[i].bound);
        const char *tail = gl_lane_tail(lane);
        for (size_t j = 0; j < gl_lane_tail_size(lane); j++) {
            CHECK(tail[j] == i);
        }
    }
    for (int i = 0; i < CONTEXTS; i++) {
        CHECK(contexts[i].started);
        CHECK(contexts[i].switches > steps_wanted / CONTEXTS / 2);
    }
}

/* Ping-pong: control comes back exactly where it left, in order, and values on the stack stay. */
static char trail[64];
static void *main_sp;
static void *other_sp;

static void *
pong(void *argument)
{
    volatile int local = 42;
    strcat(trail, argument);
    gl_context_switch(&other_sp, main_sp);
    CHECK(local == 42);
    strcat(trail, "d");
    return main_sp;
}

static void
test_order(void)
{
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    strcat(trail, "a");
    gl_context_start(&main_sp, gl_lane_top(lane), pong, "b");
    strcat(trail, "c");
    gl_context_switch(&main_sp, other_sp);
    strcat(trail, "e");
    CHECK(strcmp(trail, "abcde") == 0);
    gl_lane_unbind(&pool, lane);
}

/* A context that returns: what it did to registers and control words is not its successor's. */
static void *
come_back(void *argument)
{
    CHECK(fesetround(*(const int *)argument) == 0);
    set_control((unsigned)next_random());
    return main_sp;
}

static void
test_return(void)
{
    enum { COUNT = sizeof roundings / sizeof *roundings };
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    for (int i = 0; i < 10 * COUNT * COUNT; i++) {
        uint32_t values[REGISTER_WORDS];
        _Alignas(16) uint32_t after[REGISTER_WORDS];
        fill(values, after);
        int outside = roundings[i % COUNT];
        int inside = roundings[i / COUNT % COUNT];
        CHECK(fesetround(outside) == 0);
        uint64_t control = set_control((unsigned)next_random());
        start_with(after, &main_sp, gl_lane_top(lane), come_back, &inside);
        CHECK(memcmp(values, after, sizeof values) == 0);
        check_rounding(outside);
        CHECK(get_control() == control);
    }
    fesetround(FE_TONEAREST);
    set_control(0);
    gl_lane_unbind(&pool, lane);
}

/* One that nobody will continue starts another one on the stack that it stands on. */
static int links;

static void *
start_next(void *argument)
{
    gl_lane *lane = argument;
    CHECK((char *)__builtin_frame_address(0) <= (char *)gl_lane_top(lane));
    CHECK((char *)__builtin_frame_address(0) > lane->low);
    if (links++ < 1000) {
        gl_context_start_for_good(gl_lane_top(lane), start_next, lane);
    }
    return main_sp;
}

static void
test_start_for_good_in_place(void)
{
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    gl_context_start(&main_sp, gl_lane_top(lane), start_next, lane);
    CHECK(links == 1001);
    gl_lane_unbind(&pool, lane);
}

/* What is left of a suspended context lies at its stack pointer and above: all else may be
 * overwritten, and that, too, if it is put back. */
static void *
be_moved(void *argument)
{
    (void)argument;
    uint32_t values[REGISTER_WORDS];
    _Alignas(16) uint32_t after[REGISTER_WORDS];
    fill(values, after);
    int rounding = roundings[sizeof roundings / sizeof *roundings - 1];
    CHECK(fesetround(rounding) == 0);
    uint64_t control = set_control((unsigned)next_random());
    switch_with(after, &other_sp, main_sp);
    CHECK(memcmp(values, after, sizeof values) == 0);
    check_rounding(rounding);
    CHECK(get_control() == control);
    return main_sp;
}

static void
test_moved(void)
{
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    gl_context_start(&main_sp, gl_lane_top(lane), be_moved, NULL);
    char *sp = other_sp;
    size_t size = (size_t)((char *)gl_lane_top(lane) - sp);
    gl_slice *slice = gl_slice_new(size);
    CHECK(slice != NULL);
    gl_lane_evict(lane, sp, slice);
    overwrite(gl_lane_top(lane), size + BELOW, 0xa5);
    gl_lane_restore(lane, slice);
    free(slice);
    gl_context_switch(&main_sp, other_sp);
    gl_lane_unbind(&pool, lane);
}

/* How a first function is called: aligned, with all the room above the stack pointer that its ABI
 * gives it, at the end of the chains that profilers and debuggers follow. */
static void
test_entry(void)
{
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    gl_lane before = *lane;
    char *top = gl_lane_top(lane);
    overwrite(top, BELOW, 0xa5);
    report found = {NULL, NULL, NULL, NULL};
    uint32_t values[REGISTER_WORDS];
    _Alignas(16) uint32_t after[REGISTER_WORDS];
    fill(values, after);
    prepared_call call = {(void (*)(void))gl_context_start,
                          {&found.resume, top, (void *)entry_that_reports, &found},
                          NULL};
    call_with_registers(after, &call);
    CHECK(memcmp(values, after, sizeof values) == 0);
    CHECK((char *)found.sp <= top && (char *)found.sp > lane->low);
    CHECK((uintptr_t)found.sp % CALL_ALIGNMENT == 0);
#if !defined(GL_CONTEXT_BY_UCONTEXT)
    /* The C library's first function is another one. */
    CHECK(found.frame_pointer == NULL);
    CHECK(found.back_chain == NULL);
#endif
    CHECK(memcmp(&before, lane, sizeof before) == 0);
    gl_lane_unbind(&pool, lane);
}

#if defined(__ARM_FEATURE_PAC_DEFAULT)
/* Return addresses are signed where the compiler was asked for that. A frame that has nothing but
 * zeros in its registers has one word that a signature can be taken away from. A signature of 7
 * bits is 0 by chance, and another one on the next stack pointer. */
static void *
suspend_with_zeros(void *argument)
{
    prepared_call *call = argument;
    _Alignas(16) uint32_t zeros[REGISTER_WORDS] = {0};
    *call = (prepared_call){(void (*)(void))gl_context_switch, {&other_sp, main_sp}, NULL};
    call_with_registers(zeros, call);
    return main_sp;
}

static void
test_signed_return_address(void)
{
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    int found = 0;
    bool signs = false;
    for (uintptr_t i = 0; i < 64; i++) {
        prepared_call call;
        char *top = (char *)gl_lane_top(lane) - 16 * i;
        /* A frame has gaps. */
        overwrite(top, BELOW, 0);
        gl_context_start(&main_sp, top, suspend_with_zeros, &call);
        for (const uintptr_t *word = other_sp; word < (const uintptr_t *)call.sp; word++) {
            found += without_signature(*word) != *word;
        }
        uintptr_t address = (uintptr_t)test_order + 4 * i;
        signs = signs || with_signature(address) != address;
        gl_context_switch(&main_sp, other_sp);
    }
    CHECK(found > 0 || !signs);
    gl_lane_unbind(&pool, lane);
}
#endif

/* Unwinders must stop at the outermost frame of a lane, whatever lies above it: here, what looks
 * like return addresses. */
static int frames;

static _Unwind_Reason_Code
count_frame(struct _Unwind_Context *unwind, void *argument)
{
    (void)unwind;
    (void)argument;
    frames++;
    return frames < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

static void *
unwind_here(void *argument)
{
    (void)argument;
    _Unwind_Reason_Code code = _Unwind_Backtrace(count_frame, NULL);
#if defined(__ARM_EABI__)
    /* Arm's unwinder has no other word for the end of a stack. */
    CHECK(code == _URC_FAILURE);
#else
    CHECK(code == _URC_END_OF_STACK);
#endif
    return main_sp;
}

static void
test_backtrace_ends(void)
{
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    uintptr_t *above = gl_lane_top(lane);
    uintptr_t kept[64];
    memcpy(kept, above, sizeof kept);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        above[i] = (uintptr_t)test_order + 12;
    }
    overwrite(gl_lane_top(lane), BELOW, 0);
    /* And below, where some ABIs have areas that belong to the caller; and in the registers, which
     * a function may save there. */
    for (size_t i = 1; i <= sizeof kept / sizeof *kept; i++) {
        *(above - i) = (uintptr_t)test_order + 12;
    }
    _Alignas(16) uintptr_t values[REGISTER_WORDS];
    for (size_t i = 0; i < REGISTER_WORDS; i++) {
        values[i] = (uintptr_t)test_order + 12;
    }
    start_with((uint32_t *)values, &main_sp, above, unwind_here, NULL);
    memcpy(above, kept, sizeof kept);
#if defined(GL_ASAN)
    frames -= 2; /* of its own */
#endif
    CHECK(frames >= 1 && frames <= 3);
    gl_lane_unbind(&pool, lane);
}

/* test_switch STEPS: how long the random walk is to be. */
int
main(int argc, char **argv)
{
    CHECK(argc == 2);
    steps_wanted = strtol(argv[1], NULL, 10);
    CHECK(steps_wanted >= 1000);
    gl_lane_pool_open(&pool, 100);
    test_random_walk();
    test_order();
    test_return();
    test_start_for_good_in_place();
    test_moved();
    test_entry();
#if defined(__ARM_FEATURE_PAC_DEFAULT)
    test_signed_return_address();
#endif
    test_backtrace_ends();
    return 0;
}
