/*
 * Stream sockets of this machine: to wait for a connection, and to write without waiting.
 *
 * Functions return a value >= 0 or a negative errno.
 */
#ifndef SOLO5_KVM_SOCKET_H
#define SOLO5_KVM_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Return the descriptor of a socket that listens at a port of 127.0.0.1, or at a path that is not there
 * yet. On failure, *what names the call that failed.
 */
int socket_listen_port(uint16_t port, const char **what);
int socket_listen_path(const char *path, const char **what);

/* Returns how many bytes are taken at once, whether the descriptor's calls wait or not. */
ssize_t socket_send_now(int fd, const uint8_t *bytes, size_t length);

#endif
