/* The debug exit port, by which a guest tells its host how it ended. Success
 * is the value that QEMU users of Solo5 know: its isa-debug-exit device turns
 * it into the process status 83. Any other status goes out in the low byte
 * under a mark in the high one, so that it cannot be taken for success. */
#ifndef KERNEL_DEBUG_EXIT_H
#define KERNEL_DEBUG_EXIT_H

#define DEBUG_EXIT         0x501
#define DEBUG_EXIT_SUCCESS 41
#define DEBUG_EXIT_FAILURE 0x5300

/* Status of an abort or an exception. */
#define EXIT_ABORT 255

#endif
