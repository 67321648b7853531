/* A program with an interpreter in it, which it starts and ends several times.
 *
 *     embedding EXECUTABLE TIMES CODE
 *
 * EXECUTABLE is the Python whose environment to use. Exits with 0 if CODE ended well each time, 1 if
 * it raised, 2 if an interpreter could not be started or ended. */
#include <Python.h>

#include <stdlib.h>

static int
start(const char *executable)
{
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.pathconfig_warnings = 0;
    PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, executable);
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesString(&config, &config.executable, executable);
    }
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    return PyStatus_Exception(status) ? -1 : 0;
}

int
main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    int times = atoi(argv[2]);
    for (int i = 0; i < times; i++) {
        if (start(argv[1]) < 0) {
            return 2;
        }
        if (PyRun_SimpleString(argv[3]) < 0) {
            return 1;
        }
        if (Py_FinalizeEx() < 0) {
            return 2;
        }
    }
    return 0;
}
