/* Memory for lanes: what the operating system is asked for. One file a kind of system, of functions
 * that have the same names. They are inline: most are a single call, or nothing.
 *
 * - GL_SLAB_LANES: how many lanes are reserved at once, at most.
 * - gl_memory_page: bytes of a page.
 * - gl_memory_limited: does the process have a limit on so much of a resource (GL_MEMORY_SPACE,
 *   GL_MEMORY_WRITABLE)? Sets it, in bytes.
 * - gl_memory_reserve: address space for that many lanes, nothing of it committed; NULL if refused.
 * - gl_memory_unreserve: gives back what no lane was made of.
 * - gl_memory_ignores_advice: does this system grant any advice about memory and do nothing?
 * - gl_memory_guard_by_advice: guards the low end of a lane without a mapping of its own; false if
 *   the system has no such means.
 * - gl_memory_guard: guards it otherwise.
 * - gl_memory_begin: makes room for a gl_lane in a part of a slab, where it is to be. False if
 *   refused.
 * - gl_memory_share: the stack is to be written to by others than those who run on it. False if
 *   refused.
 * - gl_memory_acquired: somebody is going to run on an idle lane.
 * - gl_memory_idle: nobody is going to run on it any more; the caller may still do so.
 * - gl_memory_trim: gives back what is committed between a lane's low end and `keep`. What is
 *   refused stays committed.
 * - gl_memory_release: gives a lane back, but for a tail that must stay.
 */
#ifndef GREENLANE_CONTEXT_MEMORY_H
#define GREENLANE_CONTEXT_MEMORY_H

#if defined(_WIN32)
#include "memory_windows.h"
#else
#include "memory_posix.h"
#endif

#endif
