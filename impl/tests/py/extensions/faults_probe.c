/* Refuses memory: the n-th request for it, or that one and all that follow.
 *
 * What counts as a request: allocations of CPython's three domains and its arenas (pieces of data
 * stack are arenas, too), wherever they are made; and what the extension module under test asks of
 * the C library and the kernel itself. For the latter this module is not only imported but loaded
 * with LD_PRELOAD, too: the functions at the end then stand before those of the C library. Without
 * that it counts what goes by way of CPython only.
 *
 * Only requests of the thread that has called arm() count, so that the same number means the same
 * request each time. What is in use is counted in all threads: blocks() and mapped().
 */
#include <Python.h>

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
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
static atomic_long mapped; /* bytes that the module has mapped, less those it has unmapped */

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

/* Where the module under test lies; nowhere while it is not loaded. */
static uintptr_t low, high;

static int
find_module(struct dl_phdr_info *info, size_t size, void *ignored)
{
    (void)size;
    (void)ignored;
    if (strstr(info->dlpi_name, UNDER_TEST) == NULL) {
        return 0;
    }
    low = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD) {
            const uintptr_t start = info->dlpi_addr + segment->p_vaddr;
            low = start < low ? start : low;
            high = start + segment->p_memsz > high ? start + segment->p_memsz : high;
        }
    }
    return 1;
}

/* install(): for the life of the process. */
static PyObject *
probe_install(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    dl_iterate_phdr(find_module, NULL);
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
    if (high == 0) {
        dl_iterate_phdr(find_module, NULL);
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

/* blocks() -> how many blocks of memory are in use that were not when install() was called: of
 * CPython's allocators, and of the C library's that the module under test has asked for */
static PyObject *
probe_blocks(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromLong(blocks);
}

/* mapped() -> how many bytes the module under test has mapped since then, and not given back. It
 * has when it is refused to: what can't be unmapped stays, and is nobody's fault. */
static PyObject *
probe_mapped(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromLong(mapped);
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
    {"mapped", probe_mapped, METH_NOARGS, NULL},
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

/* Is this an address in the module under test? */
static bool
is_under_test(const void *caller)
{
    return (uintptr_t)caller - low < high - low;
}

/* Does the module under test ask, in the armed thread, and is it to be refused? */
static bool
refused_to(bool asks)
{
    if (asks && refused()) {
        errno = ENOMEM;
        return true;
    }
    return false;
}

/* What the module has been given. */
static void *
given(bool asks, void *block)
{
    return asks ? counted(block) : block;
}

#define ASKS() is_under_test(__builtin_return_address(0))

/* The functions that stand behind ours. Before dlsym() can be called, glibc's own. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static void *(*next_malloc)(size_t) = __libc_malloc;
static void *(*next_calloc)(size_t, size_t) = __libc_calloc;
static void *(*next_realloc)(void *, size_t) = __libc_realloc;
static void (*next_free)(void *) = __libc_free;

__attribute__((constructor)) static void
find_next(void)
{
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_free = dlsym(RTLD_NEXT, "free");
}

void *
malloc(size_t size)
{
    const bool asks = ASKS();
    return refused_to(asks) ? NULL : given(asks, next_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
    const bool asks = ASKS();
    return refused_to(asks) ? NULL : given(asks, next_calloc(count, size));
}

void *
realloc(void *block, size_t size)
{
    const bool asks = ASKS();
    if (refused_to(asks)) {
        return NULL;
    }
    void *moved = next_realloc(block, size);
    return block == NULL ? given(asks, moved) : moved;
}

void
free(void *block)
{
    if (block != NULL && ASKS()) {
        blocks--;
    }
    next_free(block);
}

static void *
map(bool asks, void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    if (refused_to(asks)) {
        return MAP_FAILED;
    }
    void *start = (void *)syscall(SYS_mmap, address, size, protection, flags, file, offset);
    if (asks && start != MAP_FAILED) {
        mapped += (long)size;
    }
    return start;
}

/* Under both names that it has: which one is called depends on how the caller was compiled. This
 * file is compiled such that its mmap() is the second. */
void *named_mmap(void *address, size_t size, int protection, int flags, int file,
                 off_t offset) __asm__("mmap");

void *
named_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    return map(ASKS(), address, size, protection, flags, file, offset);
}

void *
mmap64(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    return map(ASKS(), address, size, protection, flags, file, offset);
}

int
mprotect(void *address, size_t size, int protection)
{
    return refused_to(ASKS()) ? -1 : (int)syscall(SYS_mprotect, address, size, protection);
}

int
madvise(void *address, size_t size, int advice)
{
    return refused_to(ASKS()) ? -1 : (int)syscall(SYS_madvise, address, size, advice);
}

int
munmap(void *address, size_t size)
{
    const bool asks = ASKS();
    if (asks) {
        mapped -= (long)size;
    }
    return refused_to(asks) ? -1 : (int)syscall(SYS_munmap, address, size);
}
