/* A network device with an IPv4 address. */
#ifndef NET_INTERFACE_H
#define NET_INTERFACE_H

#include <solo5.h>
#include <stdbool.h>
#include <stdint.h>

struct interface {
    solo5_handle_t handle;
    struct solo5_net_info info;
    uint32_t address; /* network order */
    uint8_t *buffer;  /* room for one frame */
};

/* Acquires device `name` for `address`. Prints why if it cannot. */
bool interface_open(struct interface *interface, const char *name,
                    uint32_t address);

/* Waits for the next frame, stores it in interface->buffer, and returns its
 * length: at least an Ethernet header, for this interface's address or for
 * everybody's. */
size_t interface_receive(struct interface *interface);

/* Makes the frame in the buffer a reply to where it came from, and sends its
 * first `length` bytes. */
void interface_reply(struct interface *interface, size_t length);

#endif
