/*
 * Writes frames to a tap on a thread of its own. The host's network stack runs within the system call, up
 * to waking whoever receives: that takes longer than the guest needs for its next frame.
 *
 * All functions are for one and the same thread.
 */
#ifndef SOLO5_KVM_TAP_WRITER_H
#define SOLO5_KVM_TAP_WRITER_H

#include "tap.h"

struct tap_writer;

/*
 * Returns NULL when there is no thread or no memory to be had. Must be undone with tap_writer_stop().
 */
struct tap_writer *tap_writer_start(const struct tap *tap);

/*
 * Takes a frame of at most TAP_MAX_FRAME bytes; waits while too many are on their way. It leaves at the process's
 * exit(), too, if it has not before.
 */
void tap_writer_give(struct tap_writer *writer, const uint8_t *header, const uint8_t *frame, size_t length);
/* Whether all frames have left. */
int tap_writer_rests(const struct tap_writer *writer);
/* How many frames the host has not taken so far. */
unsigned tap_writer_lost(const struct tap_writer *writer);

/* Returns when all frames have left, tap_writer_lost(); the tap may be closed then. */
unsigned tap_writer_stop(struct tap_writer *writer);

#endif
