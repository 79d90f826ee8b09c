#include "tap.h"
#include "netif.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*
 * Returns the descriptor. The kernel makes the interface if need be. IFF_VNET_HDR in `wanted` is left out by
 * a kernel that does not know it.
 */
static int attach(const char *name, short wanted, short *flags, const char **what)
{
    struct ifreq request;
    unsigned known = 0;
    int fd, error;

    *what = "TUNSETIFF";
    memset(&request, 0, sizeof request);
    if (strlen(name) >= IFNAMSIZ)
        return -ENAMETOOLONG;
    strcpy(request.ifr_name, name);
    *what = "open";
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (ioctl(fd, TUNGETFEATURES, &known) < 0)
        known = 0;
    *flags = wanted & (short)known;
    request.ifr_flags = IFF_TAP | IFF_NO_PI | *flags;
    *what = "TUNSETIFF";
    if (ioctl(fd, TUNSETIFF, &request) < 0) {
        error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

/* The descriptor is attached; what else a running link needs. */
static int prepare(struct tap *tap, const char *name, int existed, const char **what)
{
    int header = TAP_HEADER, result;

    /* Who used the tap before may have left it otherwise. */
    *what = "TUNSETVNETHDRSZ";
    if (tap->has_headers && ioctl(tap->fd, TUNSETVNETHDRSZ, &header) < 0)
        return -errno;
    *what = "TUNSETOFFLOAD";
    result = tap_set_offloads(tap, 0);
    if (result < 0)
        return result;
    *what = "epoll_create1";
    tap->ready_fd = epoll_create1(EPOLL_CLOEXEC);
    if (tap->ready_fd < 0)
        return -errno;
    *what = "SIOCGIFMTU";
    tap->mtu = netif_mtu(name);
    if (tap->mtu < 0)
        return tap->mtu;
    *what = "SIOCSIFFLAGS";
    return existed ? 0 : netif_set_up(name, 1);
}

int tap_open(struct tap *tap, const char *name, const char **what)
{
    int existed = if_nametoindex(name) != 0;
    short flags = 0;
    int result;

    tap->ready_fd = -1;
    tap->listening = 0;
    tap->fd = attach(name, IFF_VNET_HDR, &flags, what);
    tap->has_headers = flags != 0;
    if (tap->fd < 0)
        return tap->fd;
    result = prepare(tap, name, existed, what);
    if (result < 0)
        tap_close(tap);
    return result;
}

void tap_close(struct tap *tap)
{
    if (tap->ready_fd >= 0)
        close(tap->ready_fd);
    if (tap->fd >= 0) {
        tap_set_offloads(tap, 0);
        close(tap->fd);
    }
    tap->ready_fd = tap->fd = -1;
    tap->listening = 0;
}

int tap_listen(struct tap *tap, int on)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (on == tap->listening)
        return 0;
    /* Without interest in anything, errors would still be reported: take the descriptor out. */
    if (epoll_ctl(tap->ready_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, tap->fd, &event) < 0)
        return -errno;
    tap->listening = on;
    return 0;
}

ssize_t tap_read(struct tap *tap, struct tap_packet *packet)
{
    size_t header = tap->has_headers ? TAP_HEADER : 0;
    ssize_t length = read(tap->fd, (uint8_t *)packet + TAP_HEADER - header, header + TAP_MAX_FRAME);

    if (length >= 0)
        return length - (ssize_t)header;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int tap_write(const struct tap *tap, const struct tap_packet *packet, size_t length)
{
    size_t header = tap->has_headers ? TAP_HEADER : 0;
    const uint8_t *start = (const uint8_t *)packet + TAP_HEADER - header;

    return write(tap->fd, start, header + length) < 0 ? -errno : 0;
}

int tap_set_offloads(const struct tap *tap, unsigned offloads)
{
    if (!tap->has_headers)
        return 0;
    return ioctl(tap->fd, TUNSETOFFLOAD, (unsigned long)offloads) < 0 ? -errno : 0;
}

int tap_set_persistent(const char *name, int persistent, long owner, const char **what)
{
    short flags;
    int fd = attach(name, 0, &flags, what);
    int result = 0;

    if (fd < 0)
        return fd;
    *what = "TUNSETOWNER";
    if (owner >= 0 && ioctl(fd, TUNSETOWNER, (unsigned long)owner) < 0)
        result = -errno;
    if (result == 0) {
        *what = "TUNSETPERSIST";
        if (ioctl(fd, TUNSETPERSIST, (unsigned long)persistent) < 0)
            result = -errno;
    }
    close(fd);
    return result;
}
