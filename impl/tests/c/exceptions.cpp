// What test_exceptions.c does in C++: it throws, and catches or does not.
#include <stdexcept>
#include <string>

namespace {

struct Guard {
    int &unwound;

    ~Guard()
    {
        unwound++;
    }
};

__attribute__((noinline)) void
dive(int depth, void (*between)(), int &unwound)
{
    Guard guard{unwound};
    if (depth == 0) {
        between();
        throw std::runtime_error("from the bottom");
    }
    dive(depth - 1, between, unwound);
}

} // namespace

// Throws below `depth` frames, after a call of `between`, and catches here. Gives the number of
// frames whose locals were destroyed.
extern "C" int
throw_and_catch(int depth, void (*between)())
{
    int unwound = 0;
    try {
        dive(depth, between, unwound);
    } catch (const std::exception &error) {
        return error.what() == std::string("from the bottom") ? unwound : -1;
    }
    return -2;
}

// Nobody catches this: std::terminate() must be called, which is abort().
extern "C" void *
throw_for_nobody(void *)
{
    throw std::runtime_error("for nobody");
}
