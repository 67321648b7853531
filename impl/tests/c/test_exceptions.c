/* C++ exceptions in a lane: they unwind it as they do a thread's stack, and end at its end. */
#include "check.h"
#include "context/lane.h"
#include "context/switch.h"
#include "system.h"

/* exceptions.cpp */
int throw_and_catch(int depth, void (*between)(void));
void *throw_for_nobody(void *argument);

enum { DEPTH = 50, ROUNDS = 100 };

static gl_lane_pool pool;
static void *main_sp;
static void *other_sp;
static int caught;

static void
to_main(void)
{
    gl_context_switch(&other_sp, main_sp);
}

static void
to_other(void)
{
    gl_context_switch(&main_sp, other_sp);
}

static void *
catch_here(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(throw_and_catch(DEPTH, to_main) == DEPTH + 1);
        caught++;
    }
    return main_sp;
}

/* Two stacks take turns, each in the middle of what an exception is going to unwind. */
static void
test_thrown_and_caught(void)
{
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    gl_context_start(&main_sp, gl_lane_top(lane), catch_here, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(caught == i);
        CHECK(throw_and_catch(DEPTH, to_other) == DEPTH + 1);
    }
    CHECK(caught == ROUNDS);
    gl_lane_unbind(&pool, lane);
}

static void
throw_in_a_lane(void)
{
    gl_lane_pool_open(&pool, 100);
    gl_lane *lane = gl_lane_bind(&pool, NULL);
    gl_context_start(&main_sp, gl_lane_top(lane), throw_for_nobody, NULL);
}

static const program programs[] = {throw_in_a_lane};

int
main(int argc, char **argv)
{
    be_a_program(programs, argc, argv);
    gl_lane_pool_open(&pool, 100);
    test_thrown_and_caught();
    CHECK(ending_of(programs, 0) == ENDED_BY_ABORT);
    return 0;
}
