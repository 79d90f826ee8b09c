#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections that may wait to be taken: debuggers, one after the other. */
#define BACKLOG 8

static int listen_at(const struct sockaddr *address, socklen_t length, const char **what)
{
    int fd, one = 1, error;

    *what = "socket";
    fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    *what = "setsockopt";
    /* A port of TCP may be had again at once. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        goto failed;
    *what = "bind";
    if (bind(fd, address, length) < 0)
        goto failed;
    *what = "listen";
    if (listen(fd, BACKLOG) < 0)
        goto failed;
    return fd;

failed:
    error = -errno;
    close(fd);
    return error;
}

int socket_listen_port(uint16_t port, const char **what)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    return listen_at((struct sockaddr *)&address, sizeof address, what);
}

int socket_listen_path(const char *path, const char **what)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *what = "bind";
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    return listen_at((struct sockaddr *)&address, sizeof address, what);
}

ssize_t socket_send_now(int fd, const uint8_t *bytes, size_t length)
{
    ssize_t sent = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

    return sent < 0 ? -errno : sent;
}
