/* Includes the one assembly file for the ABI that the compiler is making code for. */
#include "abi.h"
#include "asm.h"

#if defined(GL_ABI_FILE)
#include GL_ABI_FILE
#endif

GL_NO_EXECUTABLE_STACK
