/* The workloads as a Linux program: `native NAME`. */
#include "workloads/run.h"
#include <stdio.h>

void print(const char *text)
{
    fputs(text, stdout);
}

int main(int argc, char *argv[])
{
    return argc == 2 ? run(argv[1]) : 2;
}
