/* Residence: whose stack is on which lane.
 *
 * A greenlet is bound to a lane when it starts and stays bound until it ends. While the thread has
 * fewer lanes in use than its limit, that lane is its own, and nothing of this file happens after
 * the start. Past the limit lanes are shared: a greenlet whose stack is not on its lane is
 * *evicted*, and its stack is in a slice. It is brought in when somebody switches to it, and the
 * lane's occupant goes out in exchange.
 *
 * Where the exchange runs. A stack cannot be moved by code that runs on it. If the running greenlet
 * stands on another lane, the exchange is done at once, before anything else of the switch. If it
 * stands on the very lane, it departs to a *scratch* stack of the thread first, and the exchange is
 * done there.
 *
 * Memory. Room for the stack that goes out is found before anything is changed, mostly the very
 * room that the other one leaves. So MemoryError is raised in the greenlet that wants to switch,
 * and the target stays what it was. Nothing here runs Python code.
 *
 * What does not move. The interpreter and other objects point to a greenlet's Python frames, its
 * outermost exception item and cframe: those lie in the data stack chunk and in the core, never on
 * the lane. What does lie on the lane is the interpreter's entry frames (3.12 and later): Python
 * frames refer to them, so they are cut out of the chain while their greenlet is evicted.
 */
#include "greenlet.h"

#include <stdlib.h>
#include <string.h>

#define SCRATCH_SIZE ((size_t)64 << 10)

/* Between the frame of a function here and the lowest word that its caller's departure will put on
 * the stack: both call a few functions more. */
#define DEPARTURE_SIZE ((size_t)1024)

/* The first chunk of a data stack that is not the tail of a lane. Grows when greenlets turn out to
 * need more, since each crossing of a chunk's border costs a system call. */
#define SMALLEST_CHUNK ((size_t)384)
#define LARGEST_CHUNK ((size_t)8 << 10)

static const gl_suspension *
suspension_of(const gl_core *core, gl_displacement *moved)
{
    *moved = (gl_displacement){0};
    const char *where = (const char *)core->suspension;
    if (core->status == GL_EVICTED) {
        moved->low = core->sp;
        moved->high = gl_lane_top(core->lane);
        moved->by = gl_slice_data(core->slice) - (char *)core->sp;
        where += moved->by;
    }
    return (const gl_suspension *)where;
}

PyFrameObject *
gl_suspended_frame(const gl_core *core)
{
    gl_displacement moved;
    const gl_suspension *suspension = suspension_of(core, &moved);
    return gl_pystate_frame(&suspension->pystate, &moved);
}

size_t
gl_suspended_size(const gl_core *core)
{
    return (size_t)((char *)gl_lane_top(core->lane) - (char *)core->sp);
}

/* ---- Exchange -------------------------------------------------------------------------------- */

/* Puts `in` on its lane, in exchange for `out` (or nobody). in->slice has room for what goes out.
 */
static void
exchange(gl_thread *thread, gl_core *out, gl_core *in)
{
    gl_lane *lane = in->lane;
    gl_slice *slice = in->slice;
    void *hidden = slice->link;
    in->slice = NULL;
    gl_lane_exchange(lane, out != NULL ? out->sp : gl_lane_top(lane), slice);
    in->status = GL_SUSPENDED;
    lane->occupant = in;
    gl_pystate_unhide(hidden);
    if (out == NULL) {
        free(slice);
        return;
    }
    gl_note_evicted(thread, out, slice);
}

/* `core`'s stack is in `slice` now. */
void
gl_note_evicted(gl_thread *thread, gl_core *core, gl_slice *slice)
{
    core->slice = slice;
    core->status = GL_EVICTED;
    gl_displacement moved;
    const gl_suspension *suspension = suspension_of(core, &moved);
    slice->link = gl_pystate_hide(&suspension->pystate, &moved);
    if (core->chunk != NULL && gl_pystate_outgrew(&suspension->pystate, core->chunk) &&
        thread->chunk_size < LARGEST_CHUNK) {
        thread->chunk_size *= 2;
    }
}

/* How many bytes of room the occupant of a lane needs in order to leave it; 0 if it does not need
 * to be kept. */
static size_t
room_needed(const gl_core *occupant, const gl_core *running)
{
    if (occupant == NULL || occupant->status == GL_DEAD) {
        return 0;
    }
    const char *top = gl_lane_top(occupant->lane);
    if (occupant == running) {
        return (size_t)(top - (const char *)__builtin_frame_address(0)) + DEPARTURE_SIZE;
    }
    return (size_t)(top - (const char *)occupant->sp);
}

/* Makes sure that *slice has room for `room` bytes, and not far too much. Keeps its contents. */
static bool
fit(gl_slice **slice, size_t room)
{
    gl_slice *old = *slice;
    if (room < old->size) {
        room = old->size;
    }
    if (old->capacity >= room && old->capacity <= 2 * room + 4096) {
        return true;
    }
    gl_slice *fitting = gl_slice_new(room);
    if (fitting == NULL) {
        return old->capacity >= room;
    }
    fitting->size = old->size;
    fitting->link = old->link;
    memcpy(gl_slice_data(fitting), gl_slice_data(old), old->size);
    free(old);
    *slice = fitting;
    return true;
}

/* Asks for what the exchange and the greenlet will read: with many greenlets it has long left the
 * cache. */
static void
prefetch(const gl_core *in)
{
    const char *slice = (const char *)in->slice;
    const char *chunk = in->chunk;
    for (size_t line = 0; line < 4; line++) {
        __builtin_prefetch(slice + 64 * line);
        __builtin_prefetch(chunk + 64 * line);
    }
    for (size_t line = 4; line < 16; line++) {
        __builtin_prefetch(slice + 64 * line);
    }
}

gl_entrance
gl_bring_in(gl_thread *thread, gl_core *in)
{
    prefetch(in);
    gl_core *running = thread->current->pimpl;
    gl_core *out = in->lane->occupant;
    if (!fit(&in->slice, room_needed(out, running))) {
        return GL_ENTRANCE_REFUSED;
    }
    if (out == running) {
        return GL_ENTRANCE_BY_SCRATCH;
    }
    exchange(thread, out, in);
    return GL_ENTRANCE_FREE;
}

void *
gl_bring_in_on_scratch(void *argument)
{
    gl_thread *thread = argument;
    gl_core *in = thread->current->pimpl;
    gl_core *out = in->lane->occupant;
    exchange(thread, out, in);
    return in->sp;
}

void *
gl_scratch_top(gl_thread *thread)
{
    return thread->scratch + SCRATCH_SIZE;
}

/* ---- Coming and going ------------------------------------------------------------------------ */

gl_entrance
gl_settle(gl_thread *thread, gl_core *core)
{
    gl_core *running = thread->current->pimpl;
    gl_lane *lane = gl_lane_bind(&thread->lanes, running->lane);
    if (lane == NULL) {
        return GL_ENTRANCE_REFUSED;
    }
    gl_core *occupant = lane->occupant;
    gl_slice *slice = NULL;
    size_t room = room_needed(occupant, running);
    if (lane->tail_used && thread->chunk_size == 0) {
        thread->chunk_size = SMALLEST_CHUNK;
    }
    if ((lane->bound > 1 && thread->scratch == NULL &&
         (thread->scratch = PyMem_RawMalloc(SCRATCH_SIZE)) == NULL) ||
        (room > 0 && (slice = gl_slice_new(room)) == NULL) ||
        (lane->tail_used && (core->chunk = PyMem_RawMalloc(thread->chunk_size)) == NULL)) {
        free(slice);
        gl_lane_unbind(&thread->lanes, lane);
        return GL_ENTRANCE_REFUSED;
    }
    core->lane = lane;
    if (core->chunk != NULL) {
        *(size_t *)core->chunk = thread->chunk_size; /* which may change before it is used */
    }
    else {
        lane->tail_used = true;
    }
    if (room == 0) {
        return GL_ENTRANCE_FREE;
    }
    if (occupant == running) {
        occupant->slice = slice;
        return GL_ENTRANCE_BY_SCRATCH;
    }
    gl_lane_exchange(lane, occupant->sp, slice);
    gl_note_evicted(thread, occupant, slice);
    lane->occupant = NULL;
    return GL_ENTRANCE_FREE;
}

void
gl_datastack_of(const gl_core *core, void **memory, size_t *size)
{
    if (core->chunk != NULL) {
        *memory = core->chunk;
        *size = *(size_t *)core->chunk;
    }
    else {
        *memory = gl_lane_tail(core->lane, size);
    }
}

/* Gives up a lane and what came with it. */
void
gl_leave(gl_core *core)
{
    gl_lane *lane = core->lane;
    core->lane = NULL;
    if (lane->occupant == core) {
        lane->occupant = NULL;
    }
    if (core->chunk != NULL) {
        PyMem_RawFree(core->chunk);
        core->chunk = NULL;
    }
    else {
        lane->tail_used = false;
    }
    if (core->thread->tstate != NULL) {
        gl_lane_unbind(&core->thread->lanes, lane);
    }
    else {
        gl_lane_unbind_closed(lane);
    }
}

void
gl_abandon(PyGreenlet *greenlet)
{
    gl_core *core = greenlet->pimpl;
    gl_displacement moved;
    const gl_suspension *suspension = suspension_of(core, &moved);
    gl_slice *slice = core->slice;
    core->status = GL_DEAD; /* before anything that may run Python code */
    core->suspension = NULL;
    core->slice = NULL;
    bool stack_is_free = gl_pystate_abandon(&suspension->pystate, &moved);
    free(slice);
    if (stack_is_free) {
        gl_leave(core);
        return;
    }
    /* Somebody holds its frames: where they lie is lost, the rest is not. */
    gl_lane *lane = core->lane;
    core->lane = NULL;
    if (lane->occupant == core) {
        lane->occupant = NULL;
    }
    gl_lane_pool *lanes = core->thread->tstate != NULL ? &core->thread->lanes : NULL;
    if (core->chunk == NULL) {
        gl_lane_unbind_but_tail(lanes, lane);
    }
    else if (lanes != NULL) {
        gl_lane_unbind(lanes, lane);
    }
    else {
        gl_lane_unbind_closed(lane);
    }
    core->chunk = NULL;
}
