/* Calls and returns: Fibonacci numbers by their definition. */
#include "workloads.h"

static NOINLINE uint64_t fibonacci(uint64_t n)
{
    if (n < 2)
        return n;
    return fibonacci(n - 1) + fibonacci(n - 2);
}

uint64_t fib(void)
{
    return fibonacci(36);
}
