/*
 * A tap interface: Ethernet frames in and out of the host's kernel by a descriptor. Mechanism only.
 *
 * Functions return 0 (or a value >= 0) or a negative errno.
 */
#ifndef SOLO5_KVM_TAP_H
#define SOLO5_KVM_TAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Ethernet's header, a VLAN tag and the largest IP packet: segments to be cut up are as large. */
#define TAP_MAX_FRAME (14 + 4 + 65535)
/* struct virtio_net_hdr (linux/virtio_net.h), which tells what is left to do on a frame. */
#define TAP_HEADER 10

/* In one piece: two of them would take the kernel longer than it takes to copy most frames. */
struct tap_packet {
    uint8_t header[TAP_HEADER];
    uint8_t frame[TAP_MAX_FRAME];
};

struct tap {
    int fd;
    /*
     * An epoll descriptor: readable when a frame waits and tap_listen() is on. The event loop watches
     * this one, since libuv tells the kernel of a change of mind only at the loop's next turn, and the
     * guest may run for long before that.
     */
    int ready_fd;
    int listening;
    int mtu;
    /* Headers go with the frames. */
    int has_headers;
};

/*
 * Attaches to the tap `name`; makes it, for as long as it is open, when it does not exist, and only then
 * brings it up. On failure, *what names the call that failed. Must be undone with tap_close().
 */
int tap_open(struct tap *tap, const char *name, const char **what);
void tap_close(struct tap *tap);

int tap_listen(struct tap *tap, int on);
/* Bytes of the frame, or 0 when none waits. Without headers, the packet's is left as it is. */
ssize_t tap_read(struct tap *tap, struct tap_packet *packet);
/* -EAGAIN: the queue is full. -EIO: the interface is down. -EINVAL: the header is impossible. */
int tap_write(const struct tap *tap, const struct tap_packet *packet, size_t length);

/* What may be left to do on frames that are read: TUN_F_* (linux/if_tun.h), nothing at first. */
int tap_set_offloads(const struct tap *tap, unsigned offloads);

/*
 * Makes the tap stay when nobody has it open, or go. With `owner` >= 0, that user may open it without
 * privilege. -EBUSY while somebody has it open.
 */
int tap_set_persistent(const char *name, int persistent, long owner, const char **what);

#endif
