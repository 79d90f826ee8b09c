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

/* Returns the descriptor. The kernel makes the interface if need be. */
static int attach(const char *name, const char **what)
{
    struct ifreq request;
    int fd, error;

    *what = "TUNSETIFF";
    memset(&request, 0, sizeof request);
    if (strlen(name) >= IFNAMSIZ)
        return -ENAMETOOLONG;
    strcpy(request.ifr_name, name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;

    *what = "open";
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
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
    int result;

    tap->ready_fd = -1;
    tap->listening = 0;
    tap->fd = attach(name, what);
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
    if (tap->fd >= 0)
        close(tap->fd);
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

ssize_t tap_read(struct tap *tap, uint8_t *frame, size_t size)
{
    ssize_t length = read(tap->fd, frame, size);

    if (length >= 0)
        return length;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int tap_write(struct tap *tap, const uint8_t *frame, size_t length)
{
    return write(tap->fd, frame, length) < 0 ? -errno : 0;
}

int tap_set_persistent(const char *name, int persistent, long owner, const char **what)
{
    int fd = attach(name, what);
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
