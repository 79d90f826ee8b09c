/* The arguments that the network applications share. */
#ifndef NET_OPTIONS_H
#define NET_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    uint32_t address;    /* ip=A.B.C.D, network order; default 10.0.0.2 */
    bool quiet;          /* quiet or --quiet: no line a packet */
    unsigned long limit; /* limit=N: exit after N packets; 0: serve for ever */
};

/* Reads the words of `arguments`, in any order. Prints what is wrong and
 * returns false if a word is none of the above. */
bool options_read(const char *arguments, struct options *options);

#endif
