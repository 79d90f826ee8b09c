/*
 * The application interface of this kernel: Solo5's public API.
 *
 * Names, types, values and meanings are those of Solo5 0.12, so that an
 * application written for Solo5 compiles here unchanged. An application
 * defines solo5_app_main() and calls everything else. Nothing here may be
 * called from an interrupt handler.
 */
#ifndef SOLO5_H_INCLUDED
#define SOLO5_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a call may answer. An application should only tell OK, AGAIN and
 * "something else" apart: which failures are reported and which abort is left
 * to each implementation. This one reports all of them.
 */
typedef enum {
    SOLO5_R_OK = 0, /* done, all of it */
    SOLO5_R_AGAIN,  /* not now: the same call may succeed later */
    SOLO5_R_EINVAL, /* the arguments make no sense */
    SOLO5_R_EUNSPEC /* the device, or something below it, failed */
} solo5_result_t;

/* ---- Start and end ------------------------------------------------------ */

struct solo5_start_info {
    const char *cmdline;  /* the guest arguments, never NULL */
    uintptr_t heap_start; /* one contiguous region of read-write memory ... */
    size_t heap_size;     /* ... of this many bytes, all the application's */
};

/*
 * The application. It runs with interrupts enabled on a stack of its own;
 * `info` stays valid for ever. Returning is the same as calling solo5_exit()
 * with the returned value.
 */
int solo5_app_main(const struct solo5_start_info *info);

#define SOLO5_EXIT_SUCCESS 0
#define SOLO5_EXIT_FAILURE 1
#define SOLO5_EXIT_ABORT   255 /* 255 and above are not for applications */

/* Ends the guest with an exit status from 0 to 254. */
void solo5_exit(int status) __attribute__((noreturn));

/* Ends the guest with SOLO5_EXIT_ABORT: something went wrong. */
void solo5_abort(void) __attribute__((noreturn));

/* ---- Thread-local storage ----------------------------------------------- */

/*
 * For applications that run several threads of their own, with variables in
 * the local-exec TLS model. For each thread: allocate solo5_tls_size() bytes
 * aligned to 16 (call that address `tls`), solo5_tls_init(tls) once, and to
 * switch to the thread, solo5_set_tls_base(solo5_tls_tp_offset(tls)).
 */
size_t solo5_tls_size(void);
uintptr_t solo5_tls_tp_offset(uintptr_t tls);

/* Fills the block with the initial values of the program's TLS variables. */
solo5_result_t solo5_tls_init(uintptr_t tls);

/* Loads the thread pointer (FS.base); EINVAL for a non-canonical address. */
solo5_result_t solo5_set_tls_base(uintptr_t base);

/* ---- Time --------------------------------------------------------------- */

typedef uint64_t solo5_time_t; /* nanoseconds */

/* Time since some moment in the past; never runs backwards. */
solo5_time_t solo5_clock_monotonic(void);

/* Coordinated universal time since 1970-01-01 00:00. */
solo5_time_t solo5_clock_wall(void);

/* ---- Waiting ------------------------------------------------------------ */

typedef uint64_t solo5_handle_t;     /* an acquired device, 0 to 63 */
typedef uint64_t solo5_handle_set_t; /* bit n stands for handle n */

/*
 * Sleeps until a frame can be read from an acquired network device, or until
 * the monotonic clock has reached `deadline`, whichever comes first. If
 * `ready_set` is not NULL, stores the handles that can be read (none when the
 * deadline ended the sleep).
 */
void solo5_yield(solo5_time_t deadline, solo5_handle_set_t *ready_set);

/* ---- Console ------------------------------------------------------------ */

/* Writes `size` bytes to the console. Best effort: cannot fail, may lose. */
void solo5_console_write(const char *buf, size_t size);

/* ---- Network ------------------------------------------------------------ */

#define SOLO5_NET_ALEN 6  /* bytes of an Ethernet address */
#define SOLO5_NET_HLEN 14 /* bytes of an Ethernet header: to, from, type */

struct solo5_net_info {
    uint8_t mac_address[SOLO5_NET_ALEN];
    size_t mtu; /* bytes, without the Ethernet header */
};

/*
 * Finds the network device that the manifest calls `name`, fills `*handle` and
 * `*info`. Each name can be acquired once: EINVAL the second time, and for a
 * name that no device is left for. The n-th network device of the manifest is
 * the n-th on the PCI bus; names that the manifest lacks get the devices after
 * those, in the order in which they are acquired.
 */
solo5_result_t solo5_net_acquire(const char *name, solo5_handle_t *handle,
                                 struct solo5_net_info *info);

/*
 * Sends one frame, Ethernet header included: at most info.mtu +
 * SOLO5_NET_HLEN bytes. Never waits; a frame for which there is no room now
 * is dropped, as Ethernet would.
 */
solo5_result_t solo5_net_write(solo5_handle_t handle, const uint8_t *buf,
                               size_t size);

/*
 * Receives one frame, Ethernet header included, into a buffer of at least
 * info.mtu + SOLO5_NET_HLEN bytes, and stores its length in `*read_size`.
 * Never waits: AGAIN if none has arrived.
 */
solo5_result_t solo5_net_read(solo5_handle_t handle, uint8_t *buf, size_t size,
                              size_t *read_size);

/* ---- Block devices ------------------------------------------------------ */

typedef uint64_t solo5_off_t; /* bytes */

struct solo5_block_info {
    solo5_off_t capacity;   /* bytes */
    solo5_off_t block_size; /* bytes; 512 unless the device has larger ones */
};

/* As solo5_net_acquire(), for block devices. */
solo5_result_t solo5_block_acquire(const char *name, solo5_handle_t *handle,
                                   struct solo5_block_info *info);

/*
 * Writes or reads `size` bytes at byte `offset` and returns when the device has
 * done all of it. EINVAL unless both are multiples of the block size and the
 * range lies within the capacity; EUNSPEC if the device refused or failed (for
 * example, a write to a read-only disk). Other implementations transfer one
 * block a call and no more, and portable applications keep to that.
 */
solo5_result_t solo5_block_write(solo5_handle_t handle, solo5_off_t offset,
                                 const uint8_t *buf, size_t size);
solo5_result_t solo5_block_read(solo5_handle_t handle, solo5_off_t offset,
                                uint8_t *buf, size_t size);

#endif
