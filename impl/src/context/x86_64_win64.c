/* What x86_64_win64.S needs of C. Empty for other ABIs. */
#if defined(_WIN32)

#include <windows.h>

/* Flags of an exception whose handler has been found: frames are being left. Not all versions of
 * <winnt.h> name them. */
#define UNWINDING 0x2
#define EXIT_UNWIND 0x4

EXCEPTION_DISPOSITION gl_context_unhandled(EXCEPTION_RECORD *record, void *frame, CONTEXT *context,
                                           void *dispatcher);

/* The exception handler of a stack's outermost frame: what the system does at the outermost frame
 * of a thread. Without it, an exception that nobody handles would end the process without a word,
 * past what C++ runtimes and debuggers have set for this case. */
EXCEPTION_DISPOSITION
gl_context_unhandled(EXCEPTION_RECORD *record, void *frame, CONTEXT *context, void *dispatcher)
{
    (void)frame;
    (void)dispatcher;
    if (record->ExceptionFlags & (UNWINDING | EXIT_UNWIND)) {
        return ExceptionContinueSearch;
    }
    EXCEPTION_POINTERS pointers = {.ExceptionRecord = record, .ContextRecord = context};
    switch (UnhandledExceptionFilter(&pointers)) {
    case EXCEPTION_CONTINUE_EXECUTION:
        return ExceptionContinueExecution;
    case EXCEPTION_EXECUTE_HANDLER:
        TerminateProcess(GetCurrentProcess(), record->ExceptionCode);
        return ExceptionContinueSearch;
    default:
        return ExceptionContinueSearch;
    }
}

#endif
