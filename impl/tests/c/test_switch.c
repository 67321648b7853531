/* The context switch: registers, control words, alignment, order, and where backtraces end.
 *
 * A random walk among contexts, each of which fills all callee-saved registers with values of its
 * own before every switch and checks them after it. */
#include "check.h"
#include "context/lane.h"
#include "context/switch.h"
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

static void *walk(void *argument);

static void
go_to(void *argument)
{
    context *from = &contexts[current];
    context *to = argument;
    current = (int)(to - contexts);
    if (to->started) {
        gl_context_switch(&from->sp, to->sp);
    }
    else {
        to->started = true;
        gl_context_start(&from->sp, gl_lane_top(to->lane), walk, to);
    }
}

#if defined(__i386__) || defined(__x86_64__)
/* <fenv.h> asks the x87 unit; the vector unit has a control word of its own. */
__attribute__((target("sse"))) static unsigned
control_of_vector_unit(void)
{
    return __builtin_ia32_stmxcsr();
}
#endif

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
    CHECK(bits[control_of_vector_unit() >> 13 & 3] == rounding);
#endif
}

/* Which floating-point exceptions trap: none that happens here. Some units cannot trap at all. */
static int
get_traps(void)
{
    int found = 0;
#if defined(__GLIBC__)
    found = fegetexcept() << 8;
#endif
#if defined(__i386__) || defined(__x86_64__)
    found |= (int)(control_of_vector_unit() >> 7 & 0x3f);
#endif
    return found;
}

static int
set_traps(int bits)
{
#if defined(__GLIBC__)
    fedisableexcept(FE_ALL_EXCEPT);
    feenableexcept(bits & (FE_DIVBYZERO | FE_OVERFLOW | FE_INVALID));
#else
    (void)bits;
#endif
    return get_traps();
}

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
        for (int i = 0; i < REGISTER_WORDS; i++) {
            values[i] = after[i] = (uint32_t)next_random();
        }
        int rounding = roundings[next_random() % (sizeof roundings / sizeof *roundings)];
        CHECK(fesetround(rounding) == 0);
        int traps = set_traps((int)next_random());
        call_with_registers(after, go_to, target);
        CHECK(&contexts[current] == self);
        for (int i = 0; i < REGISTER_WORDS; i++) {
            CHECK(values[i] == after[i]);
        }
        check_rounding(rounding);
        CHECK(get_traps() == traps);
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
    set_traps(0);
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
    /* Little of it is the frame of this function. */
    CHECK((const volatile char *)&local - (const char *)other_sp <= GL_CONTEXT_SIZE + 256);
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
    gl_context_start(&main_sp, above, unwind_here, NULL);
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
    test_backtrace_ends();
    return 0;
}
