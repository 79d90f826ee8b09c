/* Runs a workload by its name, and prints `NAME CHECKSUM`. What it runs on comes with print(). */
#ifndef RUN_H
#define RUN_H

void print(const char *text);

/* Returns 0 if there is such a workload. */
int run(const char *name);

#endif
