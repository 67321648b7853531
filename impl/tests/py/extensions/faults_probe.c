/* Refuses memory: the n-th request for it, or that one and all that follow.
 *
 * What counts as a request: allocations of CPython's three domains and its arenas (pieces of data
 * stack are arenas, too), wherever they are made; and what the extension module under test asks of
 * the C library and the kernel itself. For the latter this module is not only imported but loaded
 * with LD_PRELOAD, too: the functions at the end then stand before those of the C library. Without
 * that it counts what goes by way of CPython only.
 *
 * Only requests of the thread that has called arm() count, so that the same number means the same
 * request each time.
 */
#include <Python.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Part of the name of the file whose calls to the C library are refused. */
#define UNDER_TEST "/_greenlet."

static _Thread_local bool is_armed;
static long requests; /* since arm(), of the armed thread */
static long first;    /* number of the request to refuse, from 1 */
static bool all_after;
static atomic_long blocks; /* those allocated, less those freed, since install() */

static bool
refused(void)
{
    if (!is_armed) {
        return false;
    }
    requests++;
    return requests == first || (all_after && requests > first);
}

/* ---- CPython's allocators -------------------------------------------------------------------- */

static PyMemAllocatorEx domains[3];
static PyObjectArenaAllocator arenas;

static void *
counted(void *block)
{
    if (block != NULL) {
        blocks++;
    }
    return block;
}

static void *
hook_malloc(void *next, size_t size)
{
    const PyMemAllocatorEx *allocator = next;
    return refused() ? NULL : counted(allocator->malloc(allocator->ctx, size));
}

static void *
hook_calloc(void *next, size_t count, size_t size)
{
    const PyMemAllocatorEx *allocator = next;
    return refused() ? NULL : counted(allocator->calloc(allocator->ctx, count, size));
}

static void *
hook_realloc(void *next, void *block, size_t size)
{
    const PyMemAllocatorEx *allocator = next;
    if (refused()) {
        return NULL;
    }
    void *moved = allocator->realloc(allocator->ctx, block, size);
    return block == NULL ? counted(moved) : moved;
}

static void
hook_free(void *next, void *block)
{
    const PyMemAllocatorEx *allocator = next;
    if (block != NULL) {
        blocks--;
    }
    allocator->free(allocator->ctx, block);
}

static void *
hook_arena(void *ignored, size_t size)
{
    (void)ignored;
    return refused() ? NULL : arenas.alloc(arenas.ctx, size);
}

static void
hook_free_arena(void *ignored, void *arena, size_t size)
{
    (void)ignored;
    arenas.free(arenas.ctx, arena, size);
}

/* install(): for the life of the process. */
static PyObject *
probe_install(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    for (int i = 0; i < 3; i++) {
        PyMem_GetAllocator((PyMemAllocatorDomain)i, &domains[i]);
        PyMemAllocatorEx hooks = {&domains[i], hook_malloc, hook_calloc, hook_realloc, hook_free};
        PyMem_SetAllocator((PyMemAllocatorDomain)i, &hooks);
    }
    PyObject_GetArenaAllocator(&arenas);
    PyObject_SetArenaAllocator(&(PyObjectArenaAllocator){NULL, hook_arena, hook_free_arena});
    Py_RETURN_NONE;
}

/* arm(n, all_after): refuses the n-th request of this thread from now on. 0: only counts them. */
static PyObject *
probe_arm(PyObject *module, PyObject *args)
{
    (void)module;
    int all;
    if (!PyArg_ParseTuple(args, "lp", &first, &all)) {
        return NULL;
    }
    all_after = all != 0;
    requests = 0;
    is_armed = true;
    Py_RETURN_NONE;
}

/* disarm(): allocates nothing. */
static PyObject *
probe_disarm(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    is_armed = false;
    Py_RETURN_NONE;
}

/* count() -> how many requests the armed thread has made */
static PyObject *
probe_count(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromLong(requests);
}

/* blocks() -> how many blocks of memory are in use that were not when install() was called */
static PyObject *
probe_blocks(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromLong(blocks);
}

/* in_other_thread_state(function) -> function(), called by this thread in a thread state of its own
 */
static PyObject *
probe_in_other_thread_state(PyObject *module, PyObject *function)
{
    (void)module;
    PyThreadState *other = PyThreadState_New(PyInterpreterState_Get());
    PyThreadState *own = PyThreadState_Swap(other);
    PyObject *result = PyObject_CallNoArgs(function);
    bool failed = result == NULL;
    Py_XDECREF(result);
    PyErr_Clear();
    PyThreadState_Clear(other);
    PyThreadState_Swap(own);
    PyThreadState_Delete(other);
    return PyBool_FromLong(!failed);
}

static PyMethodDef methods[] = {
    {"in_other_thread_state", probe_in_other_thread_state, METH_O, NULL},
    {"install", probe_install, METH_NOARGS, NULL},
    {"arm", probe_arm, METH_VARARGS, NULL},
    {"disarm", probe_disarm, METH_NOARGS, NULL},
    {"count", probe_count, METH_NOARGS, NULL},
    {"blocks", probe_blocks, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "faults_probe",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_faults_probe(void)
{
    return PyModule_Create(&definition);
}

/* ---- The C library and the kernel ------------------------------------------------------------ */

/* Does the module under test ask, in the armed thread, and is it to be refused? */
static bool
refused_to(const void *caller)
{
    Dl_info where;
    if (!is_armed || dladdr(caller, &where) == 0 || strstr(where.dli_fname, UNDER_TEST) == NULL) {
        return false;
    }
    if (refused()) {
        errno = ENOMEM;
        return true;
    }
    return false;
}

#define REFUSED() refused_to(__builtin_return_address(0))

/* The functions that stand behind ours. Before dlsym() can be called, glibc's own. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static void *(*next_malloc)(size_t) = __libc_malloc;
static void *(*next_calloc)(size_t, size_t) = __libc_calloc;
static void *(*next_realloc)(void *, size_t) = __libc_realloc;

__attribute__((constructor)) static void
find_next(void)
{
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
}

void *
malloc(size_t size)
{
    return REFUSED() ? NULL : next_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    return REFUSED() ? NULL : next_calloc(count, size);
}

void *
realloc(void *block, size_t size)
{
    return REFUSED() ? NULL : next_realloc(block, size);
}

void *
mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    return REFUSED() ? MAP_FAILED
                     : (void *)syscall(SYS_mmap, address, size, protection, flags, file, offset);
}

int
mprotect(void *address, size_t size, int protection)
{
    return REFUSED() ? -1 : (int)syscall(SYS_mprotect, address, size, protection);
}

int
madvise(void *address, size_t size, int advice)
{
    return REFUSED() ? -1 : (int)syscall(SYS_madvise, address, size, advice);
}

int
munmap(void *address, size_t size)
{
    return REFUSED() ? -1 : (int)syscall(SYS_munmap, address, size);
}
