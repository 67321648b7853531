/* What the interpreter keeps per flow of control: the only file with a CPython version test.
 *
 * CPython has one *thread state* a thread. Some of its fields belong to the thread (the GIL, the
 * profiler); the others describe the flow of control that is running: its innermost frame, how
 * deep it is, the memory its frames lie in, the exception it is handling, its context. A greenlet
 * switch exchanges the latter. Which they are differs by minor version; this file has one whole
 * block for each, to be read, checked against a release and replaced as a unit. What several
 * versions build on stands before the blocks, what changed less often after them. What the rest of
 * the extension uses:
 *
 *   gl_pybase            what the interpreter points to for as long as the greenlet lives: the
 *                        outermost exception item and, where there is one, the outermost cframe
 *   gl_pystate           what a suspended greenlet keeps; lies in the C frame that suspended it
 *   gl_pystate_save()    thread state -> gl_pystate
 *   gl_pystate_load()    gl_pystate -> thread state
 *   gl_pystate_begin()   makes the thread state that of a greenlet about to start on a lane: no
 *                        frames, an empty C stack. The depth of Python calls goes on from that
 *                        of the starter, or greenlets that start greenlets without end would
 *                        never be stopped
 *   gl_pystate_visit()   the references that the frames of a suspended greenlet own
 *   gl_pystate_abandon() drops those references, and frees what a suspended greenlet holds that
 *                        will never run again; false if its data stack must stay because somebody
 *                        holds its frames. May run Python code. Unless it `drops`, it only cuts the
 *                        frames loose from the C stack, and says whether they are held
 *   gl_pystate_is_behind(), gl_pystate_catch_up()
 *                        has what sys.monitoring and sys.settrace() watch changed while the
 *                        greenlet that has just been loaded was suspended; tells its frames. The
 *                        latter allocates, but runs no Python code
 *   gl_pystate_hide(), gl_pystate_unhide()
 *                        keep the chain of frames whole while the stack is elsewhere
 *   GL_SMALLEST_CHUNK    bytes of the smallest first chunk of a data stack
 *   gl_pystate_outgrew() has the data stack gone on beyond its first chunk?
 *   gl_pystate_frame()   new reference to the innermost Python frame of a suspended greenlet
 *   gl_frame_offset()    where a frame is: the offset of an instruction in its code, in bytes
 *   gl_pybase_visit()    the references that a gl_pybase owns, for the garbage collector
 *   gl_pybase_clear()    drops them
 *   gl_enter_tracing(), gl_leave_tracing()
 *                        hide what runs between them from sys.settrace() and sys.setprofile()
 *   gl_lend_depth()      lets calls nest deeper, by so many, or takes that back
 *   gl_pystate_check()   at import: is this interpreter laid out like the one we were compiled
 *                        for? Raises ImportError if not
 *   gl_trash_nesting()   depth of nested deallocations, where the version counts it
 *                        (GL_HAVE_TRASH_NESTING)
 *   gl_tstate_get()      the current thread state; never fails while the GIL is held
 *   gl_is_collecting()   is a garbage collection in progress, in whatever thread?
 *   gl_is_finalizing(), gl_error, gl_error_fetch(), gl_error_restore(), gl_error_drop()
 *                        what their names say
 *   gl_error_raise()     raises an exception object, whose reference it takes; runs no Python code
 *   gl_error_take_value() the exception being raised, which is no longer raised then; new reference
 *   gl_new_ref()         Py_NewRef(), for where a reference is soon dropped again
 *   gl_object_new()      a new object, not tracked yet, that is `size` bytes large, all zero
 *   gl_resurrect()       tells the interpreter that an object in deallocation lives on
 *
 * Depth is kept as depth *used*: sys.setrecursionlimit() may change the limit meanwhile.
 *
 * Not in any block, and why: the exception being raised (curexc_*, current_exception) stays in the
 * thread state across a switch, which is how throw() delivers it; `tracing`, profile and trace
 * functions belong to the thread.
 */
#ifndef GREENLANE_PYSTATE_H
#define GREENLANE_PYSTATE_H

#include <Python.h>

#if PY_VERSION_HEX >= 0x030B0000
#define Py_BUILD_CORE /* the layout of frames is internal */
#include <internal/pycore_frame.h>
#else
#include <frameobject.h>
#include <opcode.h>
#define Py_BUILD_CORE /* so is the state of the collector */
#endif
#undef _PyGC_FINALIZED /* 3.12's headers are not meant to be included in this order */
#include <internal/pycore_interp.h>
#if PY_VERSION_HEX >= 0x030D0000
#include <internal/pycore_runtime.h>
#endif
#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_interpframe_structs.h>
#include <internal/pycore_pythonrun.h>
#include <internal/pycore_stackref.h>
#include <internal/pycore_tstate.h>
#endif
#if PY_VERSION_HEX >= 0x030F0000
#include <internal/pycore_ceval.h>
#include <internal/pycore_code.h>
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "context/lane.h"

#ifdef Py_GIL_DISABLED
#error "greenlane: free-threaded CPython is not supported yet"
#endif

/* Py_VISIT for use outside of a tp_traverse function. */
#define GL_VISIT(object)                                                                           \
    do {                                                                                           \
        if ((object) != NULL) {                                                                    \
            int result = visit((PyObject *)(object), arg);                                         \
            if (result != 0) {                                                                     \
                return result;                                                                     \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* Up to 3.13 a frame that is calling into C does not tell how much of its stack is in use. For the
 * innermost frame of a suspended greenlet it is known all the same.
 *
 * The operands of the call with which a greenlet suspended itself, if it was made by the
 * interpreter: they are on top of the calling frame's stack, and all that lies below is in use as
 * well. */
typedef struct {
    PyObject *const *args;
    Py_ssize_t total;
    /* How many operands of a call of `callee` do not count as arguments: 1 for a method that is
     * called with its object, 0 if it is bound to it; -1 if this is no call of switch() or throw().
     */
    Py_ssize_t (*unbound)(PyObject *callee);
} gl_operands;

/* A function that C code calls may have been handed the operands of another call, and
 * types.MethodType puts its object before them, which the stack does not own: not all that looks
 * like a call is one. The instruction tells where the interpreter has its callee: gl_find_callee()
 * returns that slot and sets *first to that of the first operand, for a call whose operands end at
 * `top`; NULL if it is not known. */
#if PY_VERSION_HEX >= 0x030B0000

/* Two slots and the arguments. From 3.13 on: the function; the object that it is a method of, or
 * NULL. Before: a method and its object, or NULL and the function. */
static inline PyObject *const *
gl_find_callee(const unsigned char *instruction, PyObject *const *stack, PyObject *const *top,
               PyObject *const **first)
{
    const Py_ssize_t count = instruction[1];
    if (top - stack < count + 2) {
        return NULL;
    }
    PyObject *const *callee = top - count - 2;
#if PY_VERSION_HEX >= 0x030D0000
    *first = callee[1] != NULL ? callee + 1 : callee + 2;
#else
    callee += *callee == NULL;
    *first = callee + 1;
#endif
    return callee;
}

#else

/* The function and the arguments; CALL_METHOD has what 3.11 has. */
static inline PyObject *const *
gl_find_callee(const unsigned char *instruction, PyObject *const *stack, PyObject *const *top,
               PyObject *const **first)
{
    const Py_ssize_t count = instruction[1];
    const bool is_method = instruction[0] == CALL_METHOD;
    if ((!is_method && instruction[0] != CALL_FUNCTION && instruction[0] != CALL_FUNCTION_KW) ||
        top - stack < count + 1 + is_method) {
        return NULL;
    }
    PyObject *const *callee = top - count - 1;
    callee -= is_method && callee[-1] != NULL;
    *first = callee + 1;
    return callee;
}

#endif

/* How many slots of a frame's stack are known to be in use, while it executes `instruction`: those
 * of a call of switch() or throw(), and what lies below. The operands of calls that C code makes
 * lie elsewhere. */
static inline Py_ssize_t
gl_operands_depth(const gl_operands *operands, const void *instruction, PyObject *const *stack,
                  Py_ssize_t size)
{
    if (operands == NULL || (uintptr_t)operands->args <= (uintptr_t)stack ||
        (uintptr_t)(operands->args + operands->total) > (uintptr_t)(stack + size)) {
        return 0;
    }
    PyObject *const *top = operands->args + operands->total;
    PyObject *const *first;
    PyObject *const *callee = gl_find_callee(instruction, stack, top, &first);
    if (callee == NULL || *callee == NULL) {
        return 0;
    }
    const Py_ssize_t unbound = operands->unbound(*callee);
    return unbound >= 0 && operands->args == first + unbound ? top - stack : 0;
}

/* The Python stack ("data stack") of CPython 3.11 and later: frames are pushed on a chain of
 * chunks. A greenlet's first chunk is memory of ours. CPython frees a chunk when the frame at the
 * very start of it is popped; starting at the second slot keeps ours from ever being freed. */
#if PY_VERSION_HEX >= 0x030B0000

typedef struct {
    _PyStackChunk *chunk;
    PyObject **top;
    PyObject **limit;
} gl_datastack;

static inline void
gl_datastack_save(gl_datastack *saved, const PyThreadState *tstate)
{
    saved->chunk = tstate->datastack_chunk;
    saved->top = tstate->datastack_top;
    saved->limit = tstate->datastack_limit;
}

static inline void
gl_datastack_load(const gl_datastack *saved, PyThreadState *tstate)
{
    tstate->datastack_chunk = saved->chunk;
    tstate->datastack_top = saved->top;
    tstate->datastack_limit = saved->limit;
}

/* Bytes of a first chunk that is made small: room for the frames of a simple function or two. */
enum { GL_SMALLEST_CHUNK = 384 };

static inline void
gl_datastack_begin(PyThreadState *tstate, void *memory, size_t size)
{
    _PyStackChunk *chunk = memory;
    chunk->previous = NULL;
    chunk->size = size;
    chunk->top = 0;
    tstate->datastack_chunk = chunk;
    tstate->datastack_top = &chunk->data[1];
    tstate->datastack_limit = (PyObject **)((char *)chunk + size);
}

/* A slot of a frame: a local variable, or a value on the frame's stack. From 3.14 on it may also
 * hold a reference that somebody else owns, or a number. */
#if PY_VERSION_HEX >= 0x030E0000

typedef _PyStackRef gl_slot;

/* The object if the slot owns a reference to one, else NULL. */
static inline PyObject *
gl_slot_owned(gl_slot slot)
{
    return (slot.bits & Py_TAG_BITS) == 0 ? (PyObject *)slot.bits : NULL;
}

static inline void
gl_slot_empty(gl_slot *slot)
{
    *slot = PyStackRef_NULL;
}

#else

typedef PyObject *gl_slot;

static inline PyObject *
gl_slot_owned(gl_slot slot)
{
    return slot;
}

static inline void
gl_slot_empty(gl_slot *slot)
{
    *slot = NULL;
}

#endif

/* Where the slots of a frame end that it is known to own: its variables, and of its stack all that
 * is in use, if it is calling a Python function (`in_python`) or is the one that suspended the
 * greenlet (see gl_operands). In the middle of any other instruction, references may have been
 * given away that are still on the stack: what the instruction leaves behind is dropped before it
 * ends, and that can run code. */
#if PY_VERSION_HEX >= 0x030E0000

/* Are these the operands of the call that suspended the greenlet, below `top`? The C function has
 * had an array made of them. */
static inline bool
gl_operands_end_at(const gl_operands *operands, const gl_slot *top, const gl_slot *stack)
{
    if (operands == NULL || top - stack < operands->total + 2) {
        return false;
    }
    const gl_slot *args = top - operands->total;
    for (Py_ssize_t i = 0; i < operands->total; i++) {
        if (PyStackRef_IsNull(args[i]) || PyStackRef_IsTaggedInt(args[i]) ||
            PyStackRef_AsPyObjectBorrow(args[i]) != operands->args[i]) {
            return false;
        }
    }
    if (PyStackRef_IsNull(args[-2]) || PyStackRef_IsTaggedInt(args[-2])) {
        return false;
    }
    /* One without references is being deallocated: the call is over. */
    PyObject *callee = PyStackRef_AsPyObjectBorrow(args[-2]);
    return Py_REFCNT(callee) > 0 &&
           operands->unbound(callee) == (PyStackRef_IsNull(args[-1]) ? 0 : 1);
}

static inline gl_slot *
gl_frame_end(struct _PyInterpreterFrame *frame, bool in_python, const gl_operands *operands)
{
    if (frame->stackpointer == NULL) {
        return frame->localsplus;
    }
    const PyCodeObject *code = (PyCodeObject *)PyStackRef_AsPyObjectBorrow(frame->f_executable);
    gl_slot *const stack = frame->localsplus + code->co_nlocalsplus;
    gl_slot *const top = frame->stackpointer;
    if (top < stack || in_python || gl_operands_end_at(operands, top, stack)) {
        return top;
    }
    /* The names of keywords lie on top of what they name. */
    return gl_operands_end_at(operands, top - 1, stack) ? top : stack;
}

static inline void
gl_frame_set_end(struct _PyInterpreterFrame *frame, gl_slot *end)
{
    frame->stackpointer = end;
}

#else

static inline gl_slot *
gl_frame_end(struct _PyInterpreterFrame *frame, bool in_python, const gl_operands *operands)
{
    (void)in_python; /* it tells by itself */
    if (frame->stacktop >= 0) {
        return frame->localsplus + frame->stacktop;
    }
#if PY_VERSION_HEX >= 0x030D0000
    const PyCodeObject *code = (PyCodeObject *)frame->f_executable;
    const void *instruction = frame->instr_ptr;
#else
    const PyCodeObject *code = frame->f_code;
    const void *instruction = frame->prev_instr;
#endif
    PyObject **stack = frame->localsplus + code->co_nlocalsplus;
    return stack + gl_operands_depth(operands, instruction, stack, code->co_stacksize);
}

static inline void
gl_frame_set_end(struct _PyInterpreterFrame *frame, gl_slot *end)
{
    frame->stacktop = (int)(end - frame->localsplus);
}

#endif

/* The other references that a frame owns. */
enum { GL_FRAME_FIELDS = 4 };

static inline void
gl_frame_fields(const struct _PyInterpreterFrame *frame, PyObject *fields[GL_FRAME_FIELDS])
{
#if PY_VERSION_HEX >= 0x030E0000
    fields[0] = gl_slot_owned(frame->f_executable);
    fields[1] = gl_slot_owned(frame->f_funcobj);
#elif PY_VERSION_HEX >= 0x030D0000
    fields[0] = frame->f_executable;
    fields[1] = frame->f_funcobj;
#elif PY_VERSION_HEX >= 0x030C0000
    fields[0] = (PyObject *)frame->f_code;
    fields[1] = frame->f_funcobj;
#else
    fields[0] = (PyObject *)frame->f_code;
    fields[1] = (PyObject *)frame->f_func;
#endif
    fields[2] = frame->f_locals;
    fields[3] = (PyObject *)frame->frame_obj;
}

/* Of the frames of a suspended greenlet, those that its stack owns: not the ones of generators,
 * which the generators visit and drop, nor the interpreter's entry frames, which own nothing. If
 * these are in the chain (`is_whole`), they tell who called a C function and who a Python function.
 *
 * Where a generator is running, what called it isn't visited: that owns the generator, and taken
 * for garbage it may be finalized before the greenlet, when it still counts as running, and
 * complain. */
static inline int
gl_frames_visit(struct _PyInterpreterFrame *innermost, bool is_whole, const gl_operands *operands,
                visitproc visit, void *arg)
{
    bool in_python = false;
    for (struct _PyInterpreterFrame *f = innermost;
         f != NULL && f->owner != FRAME_OWNED_BY_GENERATOR; f = f->previous) {
        if (f->owner == FRAME_OWNED_BY_THREAD) {
            PyObject *fields[GL_FRAME_FIELDS];
            gl_frame_fields(f, fields);
            for (size_t i = 0; i < GL_FRAME_FIELDS; i++) {
                GL_VISIT(fields[i]);
            }
            const gl_slot *end = gl_frame_end(f, in_python, f == innermost ? operands : NULL);
            for (const gl_slot *slot = f->localsplus; slot < end; slot++) {
                GL_VISIT(gl_slot_owned(*slot));
            }
        }
        in_python = is_whole && f->owner == FRAME_OWNED_BY_THREAD;
    }
    return 0;
}

/* Does somebody else have the object that shows this frame to Python? */
static inline bool
gl_is_held(const struct _PyInterpreterFrame *frame)
{
    return frame->frame_obj != NULL && Py_REFCNT(frame->frame_obj) > 1;
}

/* For a greenlet that will never run again (one that finishes has popped its frames itself): drops
 * what its frames own, and frees the chunks that CPython added to ours, all but the last of the
 * chain. Somebody may have got hold of one of its frames, though: a frame object points into the
 * chunks. Then the chunks must stay, and so must that frame and those that f_back leads to. Unless
 * it `drops`, what the frames own stays as well, and CPython's chunks. */
static inline bool
gl_datastack_abandon(const gl_datastack *saved, struct _PyInterpreterFrame *innermost,
                     bool is_whole, const gl_operands *operands, bool drops)
{
    /* Before anything can run: cut the frames loose from the C stack, on which the interpreter's
     * entry frames lie, and link those that we own. */
    struct _PyInterpreterFrame *first = NULL;
    struct _PyInterpreterFrame **link = &first;
    struct _PyInterpreterFrame *previous;
    bool in_python = false;
    for (struct _PyInterpreterFrame *f = innermost; f != NULL; f = previous) {
        previous = f->previous;
        if (f->owner == FRAME_OWNED_BY_GENERATOR) {
            /* It lives on in the generator, which counts as running for ever: CPython could not
             * close it. So it is never deallocated. */
            f->previous = NULL;
            Py_INCREF((char *)f - offsetof(PyGenObject, gi_iframe));
        }
        const bool is_ours = f->owner == FRAME_OWNED_BY_THREAD;
        if (is_ours) {
            gl_frame_set_end(f, gl_frame_end(f, in_python, f == innermost ? operands : NULL));
            *link = f;
            link = &f->previous;
        }
        in_python = is_whole && (is_ours || f->owner == FRAME_OWNED_BY_GENERATOR);
    }
    *link = NULL;
    for (struct _PyInterpreterFrame *f = first; drops && f != NULL && !gl_is_held(f);
         f = f->previous) {
        const gl_slot *end = gl_frame_end(f, true, NULL);
        for (gl_slot *slot = f->localsplus; slot < end; slot++) {
            PyObject *owned = gl_slot_owned(*slot);
            gl_slot_empty(slot);
            Py_XDECREF(owned);
        }
    }
    for (struct _PyInterpreterFrame *f = first; f != NULL; f = f->previous) {
        if (gl_is_held(f)) {
            return false;
        }
    }
    if (!drops) {
        return true;
    }
    for (struct _PyInterpreterFrame *f = first; f != NULL; f = f->previous) {
        PyObject *fields[GL_FRAME_FIELDS];
        gl_frame_fields(f, fields);
        for (size_t i = 0; i < GL_FRAME_FIELDS; i++) {
            Py_XDECREF(fields[i]);
        }
    }
    PyObjectArenaAllocator arena;
    PyObject_GetArenaAllocator(&arena);
    for (_PyStackChunk *chunk = saved->chunk; chunk->previous != NULL;) {
        _PyStackChunk *older = chunk->previous;
        arena.free(arena.ctx, chunk, chunk->size);
        chunk = older;
    }
    return true;
}

#endif

/* Raises the ImportError of an interpreter that is laid out unlike the one we were compiled for. */
static inline int
gl_refuse(void)
{
    PyErr_Format(PyExc_ImportError,
                 "greenlane was compiled for CPython " PY_VERSION
                 " and does not know the thread state of this one, %s: install a greenlane "
                 "built for it, or build one (pip install --no-binary greenlane greenlane)",
                 Py_GetVersion());
    return -1;
}

/* Do the fields of the thread state that we use lie where the compiler takes them to be? All of
 * them are in its documented part, which has not moved within a minor version so far. Those checked
 * here are spread over it, and have values that can be told. */
static inline bool
gl_is_familiar(const PyThreadState *tstate)
{
    if (tstate->interp != PyInterpreterState_Get() ||
        tstate->id != PyThreadState_GetID((PyThreadState *)tstate)) {
        return false;
    }
#if PY_VERSION_HEX >= 0x030C0000
    if (tstate->py_recursion_limit != Py_GetRecursionLimit()) {
        return false;
    }
#elif PY_VERSION_HEX >= 0x030B0000
    if (tstate->recursion_limit != Py_GetRecursionLimit()) {
        return false;
    }
#endif
#if PY_VERSION_HEX >= 0x030B0000
    if (tstate->datastack_chunk != NULL &&
        (tstate->datastack_top < &tstate->datastack_chunk->data[0] ||
         tstate->datastack_top > tstate->datastack_limit)) {
        return false;
    }
#endif
    const _PyErr_StackItem *outermost = tstate->exc_info;
    while (outermost->previous_item != NULL) {
        outermost = outermost->previous_item;
    }
    return outermost == &tstate->exc_state;
}

/* CPython 3.14 and later measure the C stack instead of counting calls: the thread state has its
 * bounds, and must have those of the running greenlet at all times. With wrong ones every
 * deallocation of a container looks like a stack overflow, and is put off for ever.
 *
 * The bounds lie behind the documented part of the thread state, at an offset that has changed
 * between patch releases. So the compiler's offset is not used: gl_stack_bounds_locate() finds, at
 * import, the one place that holds what the bounds must be. */
#if PY_VERSION_HEX >= 0x030E0000

typedef struct {
    uintptr_t top;
    uintptr_t soft_limit; /* RecursionError below */
    uintptr_t hard_limit; /* fatal error below */
} gl_stack_bounds;

/* Written at import: where the bounds are, and how far apart the limits. The header tells that of a
 * CPython built like this extension. It is twice as much in debug and in sanitized builds: a debug
 * CPython may load this extension, and a sanitized extension is loaded by a CPython that is not. */
#define GL_HAVE_STACK_BOUNDS
extern size_t gl_stack_bounds_offset;
extern uintptr_t gl_stack_margin;

static inline gl_stack_bounds *
gl_stack_bounds_of(const PyThreadState *tstate)
{
    return (gl_stack_bounds *)((char *)tstate + gl_stack_bounds_offset);
}

static inline void
gl_stack_bounds_begin(PyThreadState *tstate, gl_lane *lane)
{
    gl_stack_bounds *bounds = gl_stack_bounds_of(tstate);
    bounds->top = (uintptr_t)gl_lane_top(lane);
    bounds->hard_limit = (uintptr_t)lane->low + gl_stack_margin;
    bounds->soft_limit = (uintptr_t)lane->low + 2 * gl_stack_margin;
}

static inline int
gl_stack_bounds_locate(void)
{
    /* What they must be: the top above us and the limits below, within what a stack can have; one
     * margin between the limits, that of the header, half of it or twice as much. */
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const uintptr_t reach = (uintptr_t)1 << (UINTPTR_MAX > UINT32_MAX ? 47 : 31);
    const PyThreadState *tstate = PyThreadState_Get();
    size_t found = 0;
    for (size_t offset = 0; offset <= sizeof(_PyThreadStateImpl) - sizeof(gl_stack_bounds);
         offset += sizeof(uintptr_t)) {
        const gl_stack_bounds *bounds = (const gl_stack_bounds *)((const char *)tstate + offset);
        const uintptr_t margin = bounds->soft_limit - bounds->hard_limit;
        if (bounds->top > here && bounds->top - here < reach && bounds->soft_limit < here &&
            here - bounds->soft_limit < reach &&
            (margin == _PyOS_STACK_MARGIN_BYTES || margin == 2 * _PyOS_STACK_MARGIN_BYTES ||
             2 * margin == _PyOS_STACK_MARGIN_BYTES)) {
            gl_stack_bounds_offset = offset;
            gl_stack_margin = margin;
            found++;
        }
    }
    if (found != 1) {
        return gl_refuse();
    }
    return 0;
}

#endif

/* Where a stack is while it is not where it belongs: what belongs between low and high is `by`
 * bytes away. All zeros if it has not been moved. */
typedef struct {
    const char *low;
    const char *high;
    ptrdiff_t by;
} gl_displacement;

static inline bool
gl_is_displaced(const gl_displacement *moved, const void *address)
{
    return (const char *)address >= moved->low && (const char *)address < moved->high;
}

static inline const void *
gl_displaced(const gl_displacement *moved, const void *address)
{
    return gl_is_displaced(moved, address) ? (const char *)address + moved->by : address;
}

/* The interpreter's entry frames (3.12 and later) lie on the C stack, and Python frames refer to
 * them. While that stack is elsewhere they are cut out of the chain of `previous`, so that
 * frame.f_back finds its way. What must be put back is kept in the copies of the entry frames
 * themselves, in fields that such frames do not use: f_globals is the frame that referred to it,
 * f_builtins the entry frame that was cut out before it. Returns the last one. */
#if PY_VERSION_HEX >= 0x030C0000

/* Are the entry frames in the chain? */
static inline bool
gl_is_whole(const gl_displacement *moved)
{
    return moved->high == NULL;
}

/* The innermost frame of a suspended greenlet that is not displaced. An entry frame is innermost
 * while what the function that it called leaves behind is deallocated: a finalizer or a callback
 * that is a bound method of ours switches without a Python frame of its own. */
static inline struct _PyInterpreterFrame *
gl_frames_innermost(struct _PyInterpreterFrame *frame, const gl_displacement *moved)
{
    while (gl_is_displaced(moved, frame)) {
        frame = ((struct _PyInterpreterFrame *)((char *)frame + moved->by))->previous;
    }
    return frame;
}

static inline void *
gl_frames_hide(struct _PyInterpreterFrame *innermost, const gl_displacement *moved)
{
    struct _PyInterpreterFrame *frame = gl_frames_innermost(innermost, moved);
    struct _PyInterpreterFrame *hidden = NULL;
    while (frame != NULL) {
        struct _PyInterpreterFrame *entry = frame->previous;
        if (!gl_is_displaced(moved, entry)) {
            frame = entry;
            continue;
        }
        struct _PyInterpreterFrame *copy =
            (struct _PyInterpreterFrame *)((char *)entry + moved->by);
        frame->previous = copy->previous;
        copy->f_globals = (PyObject *)frame;
        copy->f_builtins = (PyObject *)hidden;
        hidden = entry;
    }
    return hidden;
}

/* When the stack is back where it belongs. */
static inline void
gl_frames_unhide(void *last_hidden)
{
    struct _PyInterpreterFrame *entry = last_hidden;
    while (entry != NULL) {
        struct _PyInterpreterFrame *frame = (struct _PyInterpreterFrame *)entry->f_globals;
        frame->previous = entry;
        entry = (struct _PyInterpreterFrame *)entry->f_builtins;
    }
}

#endif

/* ---- CPython 3.10 ---------------------------------------------------------------------------- */
#if PY_VERSION_HEX >= 0x030A0000 && PY_VERSION_HEX < 0x030B0000

/* There is no data stack in this version: room for the size of what is not used. */
enum { GL_SMALLEST_CHUNK = 2 * sizeof(size_t) };

typedef struct {
    _PyErr_StackItem exc_item;
    CFrame cframe;
} gl_pybase;

typedef struct {
    _PyErr_StackItem *exc_info;
    PyFrameObject *frame;
    CFrame *cframe;
    int recursion_depth;
    int trash_delete_nesting;
} gl_pystate;

static inline void
gl_pystate_save(gl_pystate *saved, PyThreadState *tstate)
{
    saved->exc_info = tstate->exc_info;
    saved->frame = tstate->frame;
    saved->cframe = tstate->cframe;
    saved->recursion_depth = tstate->recursion_depth;
    saved->trash_delete_nesting = tstate->trash_delete_nesting;
    /* See 3.11. */
    tstate->root_cframe.use_tracing = tstate->cframe->use_tracing;
    tstate->cframe = &tstate->root_cframe;
}

static inline void
gl_pystate_load(const gl_pystate *saved, PyThreadState *tstate)
{
    int use_tracing = tstate->cframe->use_tracing;
    tstate->exc_info = saved->exc_info;
    tstate->frame = saved->frame;
    tstate->cframe = saved->cframe;
    tstate->cframe->use_tracing = use_tracing;
    tstate->recursion_depth = saved->recursion_depth;
    tstate->trash_delete_nesting = saved->trash_delete_nesting;
}

static inline void
gl_pystate_begin(PyThreadState *tstate, gl_pybase *base, gl_lane *lane, void *chunk,
                 size_t chunk_size)
{
    (void)lane;
    (void)chunk; /* frames are heap objects in this version */
    (void)chunk_size;
    base->exc_item = (_PyErr_StackItem){0};
    tstate->exc_info = &base->exc_item;
    tstate->frame = NULL;
    base->cframe.use_tracing = tstate->cframe->use_tracing;
    base->cframe.previous = NULL;
    tstate->cframe = &base->cframe;
    tstate->trash_delete_nesting = 0;
}

/* How much of the innermost frame's stack is known to be in use, if it does not say so itself. */
static inline Py_ssize_t
gl_frame_depth(const PyFrameObject *innermost, const gl_operands *operands)
{
    if (innermost == NULL || innermost->f_gen != NULL || innermost->f_stackdepth >= 0) {
        return 0;
    }
    const PyCodeObject *code = innermost->f_code;
    const char *instructions = PyBytes_AS_STRING(code->co_code);
    return gl_operands_depth(operands, instructions + 2 * innermost->f_lasti,
                             innermost->f_valuestack, code->co_stacksize);
}

/* Frames are objects in this version. The C function that runs one owns a reference to it;
 * generators own theirs. Most are not tracked before they end, and are visited as if they were part
 * of us. */
static inline int
gl_pystate_visit(const gl_pystate *saved, const gl_displacement *moved, const gl_operands *operands,
                 visitproc visit, void *arg)
{
    (void)moved;
    for (PyFrameObject *frame = saved->frame; frame != NULL; frame = frame->f_back) {
        if (frame->f_gen == NULL) {
            GL_VISIT(frame);
            if (!PyObject_GC_IsTracked((PyObject *)frame)) {
                int stop = Py_TYPE(frame)->tp_traverse((PyObject *)frame, visit, arg);
                if (stop != 0) {
                    return stop;
                }
            }
        }
    }
    const Py_ssize_t depth = gl_frame_depth(saved->frame, operands);
    for (Py_ssize_t i = 0; i < depth; i++) {
        GL_VISIT(saved->frame->f_valuestack[i]);
    }
    return 0;
}

static inline bool
gl_pystate_abandon(const gl_pystate *saved, const gl_displacement *moved,
                   const gl_operands *operands, bool drops)
{
    (void)moved;
    if (!drops) {
        return true;
    }
    PyFrameObject *innermost = saved->frame;
    Py_ssize_t depth = gl_frame_depth(innermost, operands);
    while (depth > 0) {
        depth--;
        Py_CLEAR(innermost->f_valuestack[depth]);
    }
    PyFrameObject *back;
    for (PyFrameObject *frame = innermost; frame != NULL; frame = back) {
        back = frame->f_back;
        if (frame->f_gen == NULL) {
            Py_DECREF(frame);
        }
    }
    return true;
}

static inline PyFrameObject *
gl_pystate_frame(const gl_pystate *saved, const gl_displacement *moved)
{
    (void)moved;
    return (PyFrameObject *)Py_XNewRef((PyObject *)saved->frame);
}

static inline void *
gl_pystate_hide(const gl_pystate *saved, const gl_displacement *moved)
{
    (void)saved;
    (void)moved;
    return NULL;
}

static inline void
gl_pystate_unhide(void *hidden)
{
    (void)hidden;
}

static inline void
gl_resurrect(PyObject *object, Py_ssize_t references)
{
    _Py_NewReference(object);
#ifdef Py_REF_DEBUG
    _Py_RefTotal--;
#endif
    Py_SET_REFCNT(object, references);
}

static inline int
gl_pystate_check(void)
{
    return gl_is_familiar(PyThreadState_Get()) ? 0 : gl_refuse();
}

#define GL_HAVE_TRASH_NESTING
static inline int
gl_trash_nesting(const PyThreadState *tstate)
{
    return tstate->trash_delete_nesting;
}

/* ---- CPython 3.11 ---------------------------------------------------------------------------- */
#elif PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000

typedef struct {
    _PyErr_StackItem exc_item;
    _PyCFrame cframe;
} gl_pybase;

typedef struct {
    _PyErr_StackItem *exc_info;
    _PyCFrame *cframe;
    gl_datastack datastack;
    int recursion_depth;
    int trash_delete_nesting;
} gl_pystate;

static inline void
gl_pystate_save(gl_pystate *saved, PyThreadState *tstate)
{
    saved->exc_info = tstate->exc_info;
    saved->cframe = tstate->cframe;
    gl_datastack_save(&saved->datastack, tstate);
    saved->recursion_depth = tstate->recursion_limit - tstate->recursion_remaining;
    saved->trash_delete_nesting = tstate->trash_delete_nesting;
    /* Whether sys.settrace or sys.setprofile is on is a property of the thread, but the flag lies
     * in the cframe, on a stack that may be moved. It travels in the thread's own cframe. */
    tstate->root_cframe.use_tracing = tstate->cframe->use_tracing;
    tstate->cframe = &tstate->root_cframe;
}

static inline void
gl_pystate_load(const gl_pystate *saved, PyThreadState *tstate)
{
    uint8_t use_tracing = tstate->cframe->use_tracing;
    tstate->exc_info = saved->exc_info;
    tstate->cframe = saved->cframe;
    tstate->cframe->use_tracing = use_tracing;
    gl_datastack_load(&saved->datastack, tstate);
    tstate->recursion_remaining = tstate->recursion_limit - saved->recursion_depth;
    tstate->trash_delete_nesting = saved->trash_delete_nesting;
}

static inline void
gl_pystate_begin(PyThreadState *tstate, gl_pybase *base, gl_lane *lane, void *chunk,
                 size_t chunk_size)
{
    (void)lane; /* this version does not measure the C stack */
    base->exc_item.exc_value = NULL;
    base->exc_item.previous_item = NULL;
    tstate->exc_info = &base->exc_item;
    base->cframe.use_tracing = tstate->cframe->use_tracing;
    base->cframe.current_frame = NULL;
    base->cframe.previous = NULL;
    tstate->cframe = &base->cframe;
    gl_datastack_begin(tstate, chunk, chunk_size);
    tstate->trash_delete_nesting = 0;
}

static inline int
gl_pystate_visit(const gl_pystate *saved, const gl_displacement *moved, const gl_operands *operands,
                 visitproc visit, void *arg)
{
    const _PyCFrame *cframe = gl_displaced(moved, saved->cframe);
    return gl_frames_visit(cframe->current_frame, true, operands, visit, arg);
}

static inline bool
gl_pystate_abandon(const gl_pystate *saved, const gl_displacement *moved,
                   const gl_operands *operands, bool drops)
{
    const _PyCFrame *cframe = gl_displaced(moved, saved->cframe);
    return gl_datastack_abandon(&saved->datastack, cframe->current_frame, true, operands, drops);
}

/* PyThreadState_GetFrame() reads but the innermost frame: a blank thread state that has it serves
 * for a greenlet that is not running, and keeps the real one out of harm's way. */
static inline PyFrameObject *
gl_pystate_frame(const gl_pystate *saved, const gl_displacement *moved)
{
    _PyCFrame cframe = *(const _PyCFrame *)gl_displaced(moved, saved->cframe);
    PyThreadState blank = {.cframe = &cframe};
    /* The allocation of a frame object may collect garbage here and now, in this version. */
    int collecting = PyGC_Disable();
    PyFrameObject *frame = PyThreadState_GetFrame(&blank);
    if (collecting) {
        PyGC_Enable();
    }
    return frame;
}

static inline void *
gl_pystate_hide(const gl_pystate *saved, const gl_displacement *moved)
{
    (void)saved;
    (void)moved;
    return NULL;
}

static inline void
gl_pystate_unhide(void *hidden)
{
    (void)hidden;
}

static inline void
gl_resurrect(PyObject *object, Py_ssize_t references)
{
    _Py_NewReference(object);
#ifdef Py_REF_DEBUG
    _Py_RefTotal--;
#endif
    Py_SET_REFCNT(object, references);
}

static inline int
gl_pystate_check(void)
{
    return gl_is_familiar(PyThreadState_Get()) ? 0 : gl_refuse();
}

#define GL_HAVE_TRASH_NESTING
static inline int
gl_trash_nesting(const PyThreadState *tstate)
{
    return tstate->trash_delete_nesting;
}

/* ---- CPython 3.12 ---------------------------------------------------------------------------- */
#elif PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000

typedef struct {
    _PyErr_StackItem exc_item;
    _PyCFrame cframe;
} gl_pybase;

typedef struct {
    _PyErr_StackItem *exc_info;
    _PyCFrame *cframe;
    gl_datastack datastack;
    int py_recursion_depth;
    int c_recursion_remaining;
    int trash_delete_nesting;
} gl_pystate;

static inline void
gl_pystate_save(gl_pystate *saved, const PyThreadState *tstate)
{
    saved->exc_info = tstate->exc_info;
    saved->cframe = tstate->cframe;
    gl_datastack_save(&saved->datastack, tstate);
    saved->py_recursion_depth = tstate->py_recursion_limit - tstate->py_recursion_remaining;
    saved->c_recursion_remaining = tstate->c_recursion_remaining;
    saved->trash_delete_nesting = tstate->trash.delete_nesting;
}

static inline void
gl_pystate_load(const gl_pystate *saved, PyThreadState *tstate)
{
    tstate->exc_info = saved->exc_info;
    tstate->cframe = saved->cframe;
    gl_datastack_load(&saved->datastack, tstate);
    tstate->py_recursion_remaining = tstate->py_recursion_limit - saved->py_recursion_depth;
    tstate->c_recursion_remaining = saved->c_recursion_remaining;
    tstate->trash.delete_nesting = saved->trash_delete_nesting;
}

static inline void
gl_pystate_begin(PyThreadState *tstate, gl_pybase *base, gl_lane *lane, void *chunk,
                 size_t chunk_size)
{
    (void)lane; /* this version does not measure the C stack */
    base->exc_item.exc_value = NULL;
    base->exc_item.previous_item = NULL;
    tstate->exc_info = &base->exc_item;
    base->cframe.current_frame = NULL;
    base->cframe.previous = NULL;
    tstate->cframe = &base->cframe;
    gl_datastack_begin(tstate, chunk, chunk_size);
    tstate->c_recursion_remaining = C_RECURSION_LIMIT;
    tstate->trash.delete_nesting = 0;
}

static inline int
gl_pystate_visit(const gl_pystate *saved, const gl_displacement *moved, const gl_operands *operands,
                 visitproc visit, void *arg)
{
    const _PyCFrame *cframe = gl_displaced(moved, saved->cframe);
    return gl_frames_visit(gl_frames_innermost(cframe->current_frame, moved), gl_is_whole(moved),
                           operands, visit, arg);
}

static inline bool
gl_pystate_abandon(const gl_pystate *saved, const gl_displacement *moved,
                   const gl_operands *operands, bool drops)
{
    const _PyCFrame *cframe = gl_displaced(moved, saved->cframe);
    struct _PyInterpreterFrame *innermost = gl_frames_innermost(cframe->current_frame, moved);
    return gl_datastack_abandon(&saved->datastack, innermost, gl_is_whole(moved), operands, drops);
}

static inline PyFrameObject *
gl_pystate_frame(const gl_pystate *saved, const gl_displacement *moved)
{
    /* See 3.11. In this version a collection waits until Python code runs again. */
    _PyCFrame cframe = *(const _PyCFrame *)gl_displaced(moved, saved->cframe);
    cframe.current_frame = gl_frames_innermost(cframe.current_frame, moved);
    PyThreadState blank = {.cframe = &cframe};
    return PyThreadState_GetFrame(&blank);
}

static inline void *
gl_pystate_hide(const gl_pystate *saved, const gl_displacement *moved)
{
    const _PyCFrame *cframe = gl_displaced(moved, saved->cframe);
    return gl_frames_hide(cframe->current_frame, moved);
}

static inline void
gl_pystate_unhide(void *hidden)
{
    gl_frames_unhide(hidden);
}

static inline void
gl_resurrect(PyObject *object, Py_ssize_t references)
{
    _Py_NewReferenceNoTotal(object);
    Py_SET_REFCNT(object, references);
}

static inline int
gl_pystate_check(void)
{
    return gl_is_familiar(PyThreadState_Get()) ? 0 : gl_refuse();
}

#define GL_HAVE_TRASH_NESTING
static inline int
gl_trash_nesting(const PyThreadState *tstate)
{
    return tstate->trash.delete_nesting;
}

/* ---- CPython 3.13 ---------------------------------------------------------------------------- */
#elif PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000

typedef struct {
    _PyErr_StackItem exc_item;
} gl_pybase;

typedef struct {
    _PyErr_StackItem *exc_info;
    struct _PyInterpreterFrame *current_frame;
    gl_datastack datastack;
    PyObject *delete_later; /* objects whose deallocation waits; linked, not counted */
    int py_recursion_depth;
    int c_recursion_remaining;
} gl_pystate;

static inline void
gl_pystate_save(gl_pystate *saved, const PyThreadState *tstate)
{
    saved->exc_info = tstate->exc_info;
    saved->current_frame = tstate->current_frame;
    gl_datastack_save(&saved->datastack, tstate);
    saved->delete_later = tstate->delete_later;
    saved->py_recursion_depth = tstate->py_recursion_limit - tstate->py_recursion_remaining;
    saved->c_recursion_remaining = tstate->c_recursion_remaining;
}

static inline void
gl_pystate_load(const gl_pystate *saved, PyThreadState *tstate)
{
    tstate->exc_info = saved->exc_info;
    tstate->current_frame = saved->current_frame;
    gl_datastack_load(&saved->datastack, tstate);
    tstate->delete_later = saved->delete_later;
    tstate->py_recursion_remaining = tstate->py_recursion_limit - saved->py_recursion_depth;
    tstate->c_recursion_remaining = saved->c_recursion_remaining;
}

static inline void
gl_pystate_begin(PyThreadState *tstate, gl_pybase *base, gl_lane *lane, void *chunk,
                 size_t chunk_size)
{
    (void)lane; /* this version does not measure the C stack */
    base->exc_item.exc_value = NULL;
    base->exc_item.previous_item = NULL;
    tstate->exc_info = &base->exc_item;
    tstate->current_frame = NULL;
    gl_datastack_begin(tstate, chunk, chunk_size);
    tstate->c_recursion_remaining = Py_C_RECURSION_LIMIT;
    tstate->delete_later = NULL;
}

static inline int
gl_pystate_visit(const gl_pystate *saved, const gl_displacement *moved, const gl_operands *operands,
                 visitproc visit, void *arg)
{
    return gl_frames_visit(gl_frames_innermost(saved->current_frame, moved), gl_is_whole(moved),
                           operands, visit, arg);
}

static inline bool
gl_pystate_abandon(const gl_pystate *saved, const gl_displacement *moved,
                   const gl_operands *operands, bool drops)
{
    struct _PyInterpreterFrame *innermost = gl_frames_innermost(saved->current_frame, moved);
    return gl_datastack_abandon(&saved->datastack, innermost, gl_is_whole(moved), operands, drops);
}

static inline PyFrameObject *
gl_pystate_frame(const gl_pystate *saved, const gl_displacement *moved)
{
    /* See 3.11. */
    PyThreadState blank = {.current_frame = gl_frames_innermost(saved->current_frame, moved)};
    return PyThreadState_GetFrame(&blank);
}

static inline void *
gl_pystate_hide(const gl_pystate *saved, const gl_displacement *moved)
{
    return gl_frames_hide(saved->current_frame, moved);
}

static inline void
gl_pystate_unhide(void *hidden)
{
    gl_frames_unhide(hidden);
}

static inline void
gl_resurrect(PyObject *object, Py_ssize_t references)
{
    _Py_NewReferenceNoTotal(object);
    Py_SET_REFCNT(object, references);
}

static inline int
gl_pystate_check(void)
{
    return gl_is_familiar(PyThreadState_Get()) ? 0 : gl_refuse();
}

/* ---- CPython 3.14 ---------------------------------------------------------------------------- */
#elif PY_VERSION_HEX >= 0x030E0000 && PY_VERSION_HEX < 0x030F0000

typedef struct {
    _PyErr_StackItem exc_item;
} gl_pybase;

typedef struct {
    _PyErr_StackItem *exc_info;
    struct _PyInterpreterFrame *current_frame;
    gl_datastack datastack;
    PyObject *delete_later;     /* objects whose deallocation waits; linked, not counted */
    PyObject *current_executor; /* of the JIT */
    gl_stack_bounds stack_bounds;
    int py_recursion_depth;
} gl_pystate;

static inline void
gl_pystate_save(gl_pystate *saved, const PyThreadState *tstate)
{
    saved->exc_info = tstate->exc_info;
    saved->current_frame = tstate->current_frame;
    gl_datastack_save(&saved->datastack, tstate);
    saved->delete_later = tstate->delete_later;
    saved->py_recursion_depth = tstate->py_recursion_limit - tstate->py_recursion_remaining;
    saved->current_executor = tstate->current_executor;
    saved->stack_bounds = *gl_stack_bounds_of(tstate);
}

static inline void
gl_pystate_load(const gl_pystate *saved, PyThreadState *tstate)
{
    tstate->exc_info = saved->exc_info;
    tstate->current_frame = saved->current_frame;
    gl_datastack_load(&saved->datastack, tstate);
    tstate->delete_later = saved->delete_later;
    tstate->py_recursion_remaining = tstate->py_recursion_limit - saved->py_recursion_depth;
    tstate->current_executor = saved->current_executor;
    *gl_stack_bounds_of(tstate) = saved->stack_bounds;
}

static inline void
gl_pystate_begin(PyThreadState *tstate, gl_pybase *base, gl_lane *lane, void *chunk,
                 size_t chunk_size)
{
    base->exc_item.exc_value = NULL;
    base->exc_item.previous_item = NULL;
    tstate->exc_info = &base->exc_item;
    tstate->current_frame = NULL;
    gl_datastack_begin(tstate, chunk, chunk_size);
    tstate->current_executor = NULL;
    gl_stack_bounds_begin(tstate, lane);
    tstate->delete_later = NULL;
}

static inline int
gl_pystate_visit(const gl_pystate *saved, const gl_displacement *moved, const gl_operands *operands,
                 visitproc visit, void *arg)
{
    return gl_frames_visit(gl_frames_innermost(saved->current_frame, moved), gl_is_whole(moved),
                           operands, visit, arg);
}

static inline bool
gl_pystate_abandon(const gl_pystate *saved, const gl_displacement *moved,
                   const gl_operands *operands, bool drops)
{
    struct _PyInterpreterFrame *innermost = gl_frames_innermost(saved->current_frame, moved);
    return gl_datastack_abandon(&saved->datastack, innermost, gl_is_whole(moved), operands, drops);
}

static inline PyFrameObject *
gl_pystate_frame(const gl_pystate *saved, const gl_displacement *moved)
{
    /* See 3.11. */
    PyThreadState blank = {.current_frame = gl_frames_innermost(saved->current_frame, moved)};
    return PyThreadState_GetFrame(&blank);
}

static inline void *
gl_pystate_hide(const gl_pystate *saved, const gl_displacement *moved)
{
    return gl_frames_hide(saved->current_frame, moved);
}

static inline void
gl_pystate_unhide(void *hidden)
{
    gl_frames_unhide(hidden);
}

static inline void
gl_resurrect(PyObject *object, Py_ssize_t references)
{
    _Py_ResurrectReference(object);
    Py_SET_REFCNT(object, references);
}

static inline int
gl_pystate_check(void)
{
    return gl_is_familiar(PyThreadState_Get()) ? gl_stack_bounds_locate() : gl_refuse();
}

/* ---- CPython 3.15 ---------------------------------------------------------------------------- */
#elif PY_VERSION_HEX >= 0x030F0000 && PY_VERSION_HEX < 0x03100000

/* The bottom of all chains of frames. A thread state has one of its own, but a greenlet's frames
 * may be held longer than its thread lives. Written at import. */
#define GL_HAVE_BASE_FRAME
extern struct _PyInterpreterFrame gl_base_frame;

typedef struct {
    _PyErr_StackItem exc_item;
} gl_pybase;

typedef struct {
    _PyErr_StackItem *exc_info;
    struct _PyInterpreterFrame *current_frame;
    gl_datastack datastack;
    PyObject *delete_later;     /* objects whose deallocation waits; linked, not counted */
    PyObject *current_executor; /* of the JIT */
    gl_stack_bounds stack_bounds;
    int py_recursion_depth;
    uintptr_t monitoring; /* the version of what is watched that the frames are known to fit */
} gl_pystate;

/* The instructions of code that is being executed must fit what sys.monitoring and sys.settrace()
 * watch: an exception that leaves a frame whose code has never been made to crashes this version,
 * once anybody wants to know of that. CPython makes it fit where a function starts or goes on, in
 * loops, and at each change for all frames that it finds, which those of suspended greenlets are
 * not among. */
#define GL_HAVE_MONITORING_VERSION

static inline uintptr_t
gl_monitoring_version(const PyThreadState *tstate)
{
    return __atomic_load_n(&tstate->eval_breaker, __ATOMIC_RELAXED) &
           ~(uintptr_t)_PY_EVAL_EVENTS_MASK;
}

static inline bool
gl_pystate_is_behind(const gl_pystate *saved, const PyThreadState *tstate)
{
    return saved->monitoring != gl_monitoring_version(tstate);
}

static inline void
gl_pystate_catch_up(PyThreadState *tstate)
{
    PyObject *pending = PyErr_GetRaisedException();
    for (struct _PyInterpreterFrame *f = tstate->current_frame; f != NULL; f = f->previous) {
        if (f->owner < FRAME_OWNED_BY_INTERPRETER) {
            PyObject *code = PyStackRef_AsPyObjectBorrow(f->f_executable);
            if (_Py_Instrument((PyCodeObject *)code, tstate->interp) < 0) {
                PyErr_Clear(); /* no memory: at the next chance */
            }
        }
    }
    PyErr_SetRaisedException(pending);
}

static inline void
gl_pystate_save(gl_pystate *saved, const PyThreadState *tstate)
{
    saved->exc_info = tstate->exc_info;
    saved->current_frame = tstate->current_frame;
    gl_datastack_save(&saved->datastack, tstate);
    saved->delete_later = tstate->delete_later;
    saved->py_recursion_depth = tstate->py_recursion_limit - tstate->py_recursion_remaining;
    saved->current_executor = tstate->current_executor;
    saved->stack_bounds = *gl_stack_bounds_of(tstate);
    /* A function that starts while a trace function runs is not made to fit, so the version is none
     * then: its low bits are zero. */
    saved->monitoring = gl_monitoring_version(tstate) + (tstate->tracing != 0);
}

static inline void
gl_pystate_load(const gl_pystate *saved, PyThreadState *tstate)
{
    tstate->exc_info = saved->exc_info;
    tstate->current_frame = saved->current_frame;
    gl_datastack_load(&saved->datastack, tstate);
    tstate->delete_later = saved->delete_later;
    tstate->py_recursion_remaining = tstate->py_recursion_limit - saved->py_recursion_depth;
    tstate->current_executor = saved->current_executor;
    *gl_stack_bounds_of(tstate) = saved->stack_bounds;
}

static inline void
gl_pystate_begin(PyThreadState *tstate, gl_pybase *base, gl_lane *lane, void *chunk,
                 size_t chunk_size)
{
    base->exc_item.exc_value = NULL;
    base->exc_item.previous_item = NULL;
    tstate->exc_info = &base->exc_item;
    tstate->current_frame = &gl_base_frame;
    gl_datastack_begin(tstate, chunk, chunk_size);
    tstate->current_executor = NULL;
    gl_stack_bounds_begin(tstate, lane);
    tstate->delete_later = NULL;
}

static inline int
gl_pystate_visit(const gl_pystate *saved, const gl_displacement *moved, const gl_operands *operands,
                 visitproc visit, void *arg)
{
    return gl_frames_visit(gl_frames_innermost(saved->current_frame, moved), gl_is_whole(moved),
                           operands, visit, arg);
}

static inline bool
gl_pystate_abandon(const gl_pystate *saved, const gl_displacement *moved,
                   const gl_operands *operands, bool drops)
{
    struct _PyInterpreterFrame *innermost = gl_frames_innermost(saved->current_frame, moved);
    return gl_datastack_abandon(&saved->datastack, innermost, gl_is_whole(moved), operands, drops);
}

static inline PyFrameObject *
gl_pystate_frame(const gl_pystate *saved, const gl_displacement *moved)
{
    /* See 3.11. */
    PyThreadState blank = {.current_frame = gl_frames_innermost(saved->current_frame, moved)};
    return PyThreadState_GetFrame(&blank);
}

static inline void *
gl_pystate_hide(const gl_pystate *saved, const gl_displacement *moved)
{
    return gl_frames_hide(saved->current_frame, moved);
}

static inline void
gl_pystate_unhide(void *hidden)
{
    gl_frames_unhide(hidden);
}

static inline void
gl_resurrect(PyObject *object, Py_ssize_t references)
{
    _Py_ResurrectReference(object);
    Py_SET_REFCNT(object, references);
}

static inline int
gl_pystate_check(void)
{
    const PyThreadState *tstate = PyThreadState_Get();
    if (!gl_is_familiar(tstate)) {
        return gl_refuse();
    }
    gl_base_frame = *tstate->base_frame;
    return gl_stack_bounds_locate();
}

#else
#error "greenlane: this version of CPython is not supported; see the table in README.md"
#endif

/* ---- What changed less often -------------------------------------------------------------------
 */

#ifndef GL_HAVE_MONITORING_VERSION

static inline bool
gl_pystate_is_behind(const gl_pystate *saved, const PyThreadState *tstate)
{
    (void)saved;
    (void)tstate;
    return false;
}

static inline void
gl_pystate_catch_up(PyThreadState *tstate)
{
    (void)tstate;
}

#endif

/* Exceptions are one object since 3.12. */
#if PY_VERSION_HEX < 0x030C0000

typedef struct {
    PyObject *type, *value, *traceback;
} gl_error;

static inline void
gl_error_fetch(gl_error *error)
{
    PyErr_Fetch(&error->type, &error->value, &error->traceback);
}

static inline void
gl_error_restore(gl_error *error)
{
    PyErr_Restore(error->type, error->value, error->traceback);
}

static inline void
gl_error_drop(gl_error *error)
{
    Py_XDECREF(error->type);
    Py_XDECREF(error->value);
    Py_XDECREF(error->traceback);
}

static inline void
gl_error_raise(PyObject *exception)
{
    PyErr_Restore(Py_NewRef(Py_TYPE(exception)), exception, NULL);
}

static inline PyObject *
gl_error_take_value(void)
{
    gl_error error;
    PyErr_Fetch(&error.type, &error.value, &error.traceback);
    PyErr_NormalizeException(&error.type, &error.value, &error.traceback);
    Py_DECREF(error.type);
    Py_XDECREF(error.traceback);
    return error.value;
}

#else

typedef struct {
    PyObject *exception;
} gl_error;

static inline void
gl_error_fetch(gl_error *error)
{
    error->exception = PyErr_GetRaisedException();
}

static inline void
gl_error_restore(gl_error *error)
{
    PyErr_SetRaisedException(error->exception);
}

static inline void
gl_error_drop(gl_error *error)
{
    Py_XDECREF(error->exception);
}

static inline void
gl_error_raise(PyObject *exception)
{
    PyErr_SetRaisedException(exception);
}

static inline PyObject *
gl_error_take_value(void)
{
    return PyErr_GetRaisedException();
}

#endif

static inline void
gl_lend_depth(PyThreadState *tstate, int depth)
{
#if PY_VERSION_HEX >= 0x030C0000
    tstate->py_recursion_remaining += depth;
#if PY_VERSION_HEX < 0x030E0000 /* later versions look at the stack pointer */
    tstate->c_recursion_remaining += depth;
#endif
#elif PY_VERSION_HEX >= 0x030B0000
    tstate->recursion_remaining += depth;
#else
    tstate->recursion_depth -= depth;
#endif
}

/* Functions that became public. */
#if PY_VERSION_HEX < 0x030B0000

static inline void
gl_enter_tracing(PyThreadState *tstate)
{
    tstate->tracing++;
    tstate->cframe->use_tracing = 0;
}

static inline void
gl_leave_tracing(PyThreadState *tstate)
{
    tstate->tracing--;
    tstate->cframe->use_tracing = tstate->c_tracefunc != NULL || tstate->c_profilefunc != NULL;
}

#else

static inline void
gl_enter_tracing(PyThreadState *tstate)
{
    PyThreadState_EnterTracing(tstate);
}

static inline void
gl_leave_tracing(PyThreadState *tstate)
{
    PyThreadState_LeaveTracing(tstate);
}

#endif

#if PY_VERSION_HEX < 0x030C0000

static inline PyObject *
gl_object_new(PyTypeObject *type, size_t size)
{
    /* No function allocates an object larger than its type says: ask for one of a larger type. */
    PyTypeObject larger = {.tp_basicsize = (Py_ssize_t)size, .tp_flags = type->tp_flags};
    PyObject *object = _PyObject_GC_New(&larger);
    if (object != NULL) {
        Py_SET_TYPE(object, type);
        memset(object + 1, 0, size - sizeof *object);
    }
    return object;
}

#else

static inline PyObject *
gl_object_new(PyTypeObject *type, size_t size)
{
    return PyUnstable_Object_GC_NewWithExtraData(type, size - (size_t)type->tp_basicsize);
}

#endif

#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030E0000 && !defined(Py_REF_DEBUG) &&       \
    SIZEOF_VOID_P > 4

/* Py_INCREF() of these versions writes half of the word that Py_DECREF() reads. A load can't be
 * served from the store buffer if the store was narrower: it waits, some 4 ns, until the store has
 * reached the cache. This one writes the whole word. */
static inline PyObject *
gl_new_ref(PyObject *object)
{
    if (!_Py_IsImmortal(object)) {
        object->ob_refcnt++;
    }
    return object;
}

#else

static inline PyObject *
gl_new_ref(PyObject *object)
{
    return Py_NewRef(object);
}

#endif

#if PY_VERSION_HEX < 0x030D0000

static inline PyThreadState *
gl_tstate_get(void)
{
    return _PyThreadState_UncheckedGet();
}

static inline bool
gl_is_finalizing(void)
{
    return _Py_IsFinalizing();
}

static inline bool
gl_is_collecting(const PyThreadState *tstate)
{
    return tstate->interp->gc.collecting != 0;
}

#else

static inline PyThreadState *
gl_tstate_get(void)
{
    return PyThreadState_GetUnchecked();
}

static inline bool
gl_is_finalizing(void)
{
    return Py_IsFinalizing();
}

/* The interpreter says where it keeps that, whatever its patch release. */
static inline bool
gl_is_collecting(const PyThreadState *tstate)
{
    const _Py_DebugOffsets *offsets = &_PyRuntime.debug_offsets;
    const char *state = (const char *)tstate->interp + offsets->interpreter_state.gc;
    return *(const int *)(state + offsets->gc.collecting) != 0;
}

#endif

/* Since 3.11 an exception item is one reference, and there is a data stack. */
#if PY_VERSION_HEX < 0x030B0000

static inline int
gl_pybase_visit(const gl_pybase *base, visitproc visit, void *arg)
{
    GL_VISIT(base->exc_item.exc_type);
    GL_VISIT(base->exc_item.exc_value);
    GL_VISIT(base->exc_item.exc_traceback);
    return 0;
}

static inline void
gl_pybase_clear(gl_pybase *base)
{
    Py_CLEAR(base->exc_item.exc_type);
    Py_CLEAR(base->exc_item.exc_value);
    Py_CLEAR(base->exc_item.exc_traceback);
}

static inline int
gl_frame_offset(PyFrameObject *frame)
{
    return 2 * frame->f_lasti;
}

static inline bool
gl_pystate_outgrew(const gl_pystate *saved, const void *chunk)
{
    (void)saved;
    (void)chunk;
    return false;
}

#else

static inline int
gl_pybase_visit(const gl_pybase *base, visitproc visit, void *arg)
{
    GL_VISIT(base->exc_item.exc_value);
    return 0;
}

static inline void
gl_pybase_clear(gl_pybase *base)
{
    Py_CLEAR(base->exc_item.exc_value);
}

static inline int
gl_frame_offset(PyFrameObject *frame)
{
    return PyFrame_GetLasti(frame);
}

static inline bool
gl_pystate_outgrew(const gl_pystate *saved, const void *chunk)
{
    return saved->datastack.chunk != chunk;
}

#endif

#endif
