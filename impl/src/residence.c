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
 * Memory. Room for the stack that goes out is found before anything is changed: mostly the slice
 * that the last one to come in has left, which the cache still has. So MemoryError is raised in the
 * greenlet that wants to switch, and the target stays what it was. Nothing here runs Python code.
 *
 * What does not move. The interpreter and other objects point to a greenlet's Python frames, its
 * outermost exception item and cframe: those lie in the data stack chunk and in the core, never on
 * the lane. What does lie on the lane is the interpreter's entry frames (3.12 and later): Python
 * frames refer to them, so they are cut out of the chain while their greenlet is evicted. And the
 * heads of the garbage collector's lists: a greenlet that is suspended in the middle of a
 * collection, by a finalizer that switches, must stay where it is, and those that would need its
 * place get an error.
 */
#include "greenlet.h"

#include "context/switch.h"
#include "context/valgrind.h"

#include <stdlib.h>
#include <string.h>

#define SCRATCH_SIZE ((size_t)64 << 10)

/* Between the frame of a function here and the lowest word that its caller's departure will put on
 * the stack: both call a few functions more. */
#define DEPARTURE_SIZE ((size_t)512 + GL_CONTEXT_SIZE)

/* The first chunk of a data stack that is not the tail of a lane. Grows when greenlets turn out to
 * need more, since each crossing of a chunk's border costs a system call. */
#define LARGEST_CHUNK ((size_t)8 << 10)

static const gl_suspension *
suspension_of(const gl_core *core, gl_displacement *moved)
{
    *moved = (gl_displacement){0};
    const char *where = (const char *)core->suspension;
    if (core->status == GL_EVICTED) {
        moved->low = core->sp;
        moved->high = gl_lane_top(core->lane);
        moved->by = core->slice->data - (char *)core->sp;
        where += moved->by;
    }
    return (const gl_suspension *)where;
}

/* The call that suspended a greenlet. */
static gl_operands
operands_of(const gl_suspension *suspension, const gl_displacement *moved)
{
    gl_operands operands = {.unbound = gl_unbound_operands};
    const gl_arguments *call = gl_displaced(moved, suspension->operands);
    if (call != NULL) {
        operands.args = gl_displaced(moved, call->args);
        operands.total = call->nargs;
        operands.total += call->kwnames != NULL ? PyTuple_GET_SIZE(call->kwnames) : 0;
    }
    return operands;
}

int
gl_visit_frames(const gl_core *core, visitproc visit, void *arg)
{
    gl_displacement moved;
    const gl_suspension *suspension = suspension_of(core, &moved);
    const gl_operands operands = operands_of(suspension, &moved);
    return gl_pystate_visit(&suspension->pystate, &moved, &operands, visit, arg);
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

/* Does the stack from `sp` to `top` hold the heads of the lists of a garbage collection? The
 * objects that it looks at point to them, and are unlinked by whoever deallocates them. One of the
 * lists, that of objects with finalizers of an old kind, is empty as good as always: a pair of
 * words that point to themselves. */
GL_ASAN_UNWATCHED static bool
holds_collection(const PyThreadState *tstate, const void *sp, const void *top)
{
    if (GL_LIKELY(!gl_is_collecting(tstate))) {
        return false;
    }
    for (const uintptr_t *word = sp; word + 1 < (const uintptr_t *)top; word++) {
        if (word[0] == (uintptr_t)word && word[1] == (uintptr_t)word) {
            return true;
        }
    }
    return false;
}

/* Must the occupant of a lane, of which `room` bytes lie on it, stay there? `thread` is the calling
 * one. */
static bool
must_stay(const gl_thread *thread, const gl_core *occupant, size_t room)
{
    if (room == 0) {
        return false;
    }
    const char *top = gl_lane_top(occupant->lane);
    return holds_collection(thread->tstate, top - room / sizeof(void *) * sizeof(void *), top);
}

/* ---- Out and in ------------------------------------------------------------------------------ */

static gl_slice *
new_slice(gl_thread *thread, size_t size)
{
    gl_slice *slice = gl_slice_new(size);
    thread->heap_size += slice != NULL ? slice->capacity : 0;
    return slice;
}

static void
free_slice(gl_thread *thread, gl_slice *slice)
{
    if (slice != NULL) {
        thread->heap_size -= slice->capacity;
        free(slice);
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

/* Makes sure that the spare slice has room for `room` bytes, and not far too much. */
static bool
reserve(gl_thread *thread, size_t room)
{
    gl_slice *spare = thread->spare_slice;
    if (GL_LIKELY(spare != NULL && spare->capacity >= room && spare->capacity <= 2 * room + 4096)) {
        return true;
    }
    gl_slice *fitting = new_slice(thread, room);
    if (fitting == NULL) {
        return spare != NULL && spare->capacity >= room;
    }
    free_slice(thread, spare);
    thread->spare_slice = fitting;
    return true;
}

/* Moves the stack of a lane's occupant to the spare slice. */
static void
move_out(gl_thread *thread, gl_core *core)
{
    gl_slice *slice = thread->spare_slice;
    thread->spare_slice = NULL;
    gl_lane_evict(core->lane, core->sp, slice);
    core->lane->occupant = NULL;
    core->slice = slice;
    core->status = GL_EVICTED;
    gl_displacement moved;
    const gl_suspension *suspension = suspension_of(core, &moved);
    slice->link = gl_pystate_hide(&suspension->pystate, &moved);
    if (!gl_has_tail(core) && gl_pystate_outgrew(&suspension->pystate, core->chunk) &&
        thread->chunk_size < LARGEST_CHUNK) {
        thread->chunk_size *= 2;
    }
}

/* Moves an evicted stack to its lane, which nobody occupies. */
static void
move_in(gl_thread *thread, gl_core *core)
{
    gl_slice *slice = core->slice;
    core->slice = NULL;
    gl_lane_restore(core->lane, slice);
    core->lane->occupant = core;
    core->status = GL_SUSPENDED;
    gl_pystate_unhide(slice->link);
    free_slice(thread, thread->spare_slice);
    thread->spare_slice = slice;
}

/* Asks for what a greenlet that comes in will read: with many greenlets it has long left the cache.
 */
static void
prefetch(const gl_core *core)
{
    const char *slice = (const char *)core->slice;
    const char *chunk = core->chunk;
    for (size_t line = 0; line < 4; line++) {
        __builtin_prefetch(slice + 64 * line);
        __builtin_prefetch(chunk + 64 * line);
    }
    for (size_t line = 4; line < 16; line++) {
        __builtin_prefetch(slice + 64 * line);
    }
}

gl_entrance
gl_bring_in(gl_thread *thread, gl_core *core)
{
    prefetch(core);
    gl_core *running = thread->current->pimpl;
    gl_core *out = core->lane->occupant;
    size_t room = room_needed(out, running);
    if (must_stay(thread, out, room)) {
        gl_stay(running);
        PyErr_SetString(gl_module.error,
                        "cannot switch to a greenlet whose place on a shared stack is taken by one "
                        "that is in the middle of a garbage collection");
        return GL_ENTRANCE_REFUSED;
    }
    if (room > 0 && !reserve(thread, room)) {
        gl_stay(running);
        PyErr_NoMemory();
        return GL_ENTRANCE_REFUSED;
    }
    if (out == running) {
        return GL_ENTRANCE_BY_SCRATCH;
    }
    if (room > 0) {
        move_out(thread, out);
    }
    move_in(thread, core);
    return GL_ENTRANCE_FREE;
}

void
gl_move_in(gl_thread *thread)
{
    gl_core *core = thread->current->pimpl;
    gl_core *out = core->lane->occupant;
    if (out != NULL) {
        move_out(thread, out);
    }
    if (core->slice != NULL) {
        move_in(thread, core);
    }
}

void *
gl_scratch_top(gl_thread *thread)
{
    return thread->scratch + SCRATCH_SIZE;
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static bool
make_scratch(gl_thread *thread)
{
    if (thread->scratch == NULL) {
        thread->scratch = PyMem_RawMalloc(SCRATCH_SIZE + GL_STACK_END_SIZE);
        if (thread->scratch == NULL) {
            return false;
        }
        gl_stack_make(thread->scratch, thread->scratch + SCRATCH_SIZE);
        gl_valgrind_add(thread->valgrind, thread->scratch, thread->scratch + SCRATCH_SIZE);
    }
    return true;
}

/* Makes room for `core` on the shared lane that it has been bound to. If refused, nothing has
 * changed. */
static gl_entrance
make_room(gl_thread *thread, gl_core *core, gl_core *running)
{
    gl_lane *lane = core->lane;
    gl_core *occupant = lane->occupant;
    size_t room = room_needed(occupant, running);
    if (must_stay(thread, occupant, room)) {
        return GL_ENTRANCE_REFUSED;
    }
    if (lane->tail_used && thread->chunk_size == 0) {
        thread->chunk_size = GL_SMALLEST_CHUNK;
    }
    if ((lane->bound > 1 && !make_scratch(thread)) || (room > 0 && !reserve(thread, room)) ||
        (lane->tail_used && (core->chunk = PyMem_RawMalloc(thread->chunk_size)) == NULL)) {
        return GL_ENTRANCE_REFUSED;
    }
    if (core->chunk == NULL) {
        core->chunk = gl_lane_tail(lane);
        lane->tail_used = true;
    }
    else {
        ((size_t *)core->chunk)[1] = thread->chunk_size; /* which may change before it is used */
        thread->heap_size += thread->chunk_size;
    }
    if (room == 0) {
        return GL_ENTRANCE_FREE;
    }
    if (occupant == running) {
        return GL_ENTRANCE_BY_SCRATCH;
    }
    move_out(thread, occupant);
    return GL_ENTRANCE_FREE;
}

static gl_entrance
settle_on(gl_thread *thread, gl_core *core, gl_core *running, gl_lane *lane)
{
    core->lane = lane;
    if (GL_LIKELY(!lane->is_shared)) {
        core->chunk = gl_lane_tail(lane);
        return GL_ENTRANCE_FREE;
    }
    gl_entrance entrance = make_room(thread, core, running);
    if (entrance == GL_ENTRANCE_REFUSED) {
        core->lane = NULL;
        gl_lane_unbind(&thread->lanes, lane);
    }
    return entrance;
}

gl_entrance
gl_settle(gl_thread *thread, gl_core *core)
{
    gl_core *running = thread->current->pimpl;
    /* Where the occupant of a shared lane must stay, or is too large to be moved, the next one may
     * do. */
    for (int attempt = 0; attempt < GL_SHARED_LANES; attempt++) {
        gl_lane *lane = gl_lane_bind(&thread->lanes, running->lane);
        if (GL_UNLIKELY(lane == NULL)) {
            return GL_ENTRANCE_REFUSED;
        }
        gl_entrance entrance = settle_on(thread, core, running, lane);
        if (GL_LIKELY(entrance != GL_ENTRANCE_REFUSED)) {
            return entrance;
        }
    }
    return GL_ENTRANCE_REFUSED;
}

/* Ends a tenancy. */
static void
unbind(gl_core *core)
{
    gl_lane *lane = core->lane;
    core->lane = NULL;
    core->chunk = NULL;
    if (lane->occupant == core) {
        lane->occupant = NULL;
    }
    if (core->thread->tstate != NULL) {
        gl_lane_unbind(&core->thread->lanes, lane);
    }
    else {
        gl_lane_unbind_closed(lane);
    }
}

/* Gives up a lane and what came with it. */
void
gl_leave(gl_core *core)
{
    if (GL_UNLIKELY(core->lane->is_shared)) {
        if (gl_has_tail(core)) {
            core->lane->tail_used = false;
        }
        else {
            core->thread->heap_size -= gl_chunk_size(core);
            PyMem_RawFree(core->chunk);
        }
    }
    unbind(core);
}

void
gl_abandon(PyGreenlet *greenlet)
{
    gl_core *core = greenlet->pimpl;
    gl_displacement moved;
    /* A copy: once Python code runs, the stack may be overwritten by another tenant's. */
    const gl_suspension suspension = *suspension_of(core, &moved);
    const gl_operands operands = operands_of(&suspension, &moved);
    gl_slice *slice = core->slice;
    const bool holds_heads =
        slice == NULL && holds_collection(gl_tstate_get(), core->sp, gl_lane_top(core->lane));
    core->status = GL_DEAD;
    gl_record_end(core);
    core->slice = NULL;
    /* While the interpreter finalizes, what would run has nothing to run on any more. */
    const bool drops = !gl_is_finalizing();
    const bool stack_is_free = gl_pystate_abandon(&suspension.pystate, &moved, &operands, drops);
    free_slice(core->thread, slice);
    if (holds_heads) {
        /* A collection that will never end. Objects point to this stack for ever. */
        core->lane = NULL;
        core->chunk = NULL;
        return;
    }
    if (stack_is_free) {
        gl_leave(core);
        return;
    }
    /* Somebody holds its frames: where they lie is lost, the rest is not. */
    if (!gl_has_tail(core)) {
        unbind(core);
        return;
    }
    gl_lane *lane = core->lane;
    core->lane = NULL;
    core->chunk = NULL;
    if (lane->occupant == core) {
        lane->occupant = NULL;
    }
    gl_lane_unbind_but_tail(core->thread->tstate != NULL ? &core->thread->lanes : NULL, lane);
}
