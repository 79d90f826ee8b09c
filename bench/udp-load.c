/*
 * Sends messages to the guest's UDP echo port, a window of them on the way, and waits for each to
 * come back.
 *
 *     udp-load ADDRESS COUNT SIZE WINDOW
 *
 * Prints how many came back and the nanoseconds it took. What has not come back after a second is
 * lost.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define ECHO_PORT    7
#define LARGEST_SIZE 1472

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int connect_to(const char *address)
{
    struct sockaddr_in guest = {.sin_family = AF_INET, .sin_port = htons(ECHO_PORT)};
    struct timeval patience = {.tv_sec = 1};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (inet_pton(AF_INET, address, &guest.sin_addr) != 1)
        errx(1, "%s is not an address", address);
    if (fd < 0 || connect(fd, (struct sockaddr *)&guest, sizeof guest) < 0)
        err(1, "%s", address);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        err(1, "SO_RCVTIMEO");
    return fd;
}

int main(int argc, char *argv[])
{
    static char message[LARGEST_SIZE];

    if (argc != 5)
        errx(1, "usage: udp-load ADDRESS COUNT SIZE WINDOW");
    int fd = connect_to(argv[1]);
    unsigned long count = strtoul(argv[2], NULL, 10), sent = 0, received = 0;
    size_t size = strtoul(argv[3], NULL, 10);
    unsigned long window = strtoul(argv[4], NULL, 10);
    if (size > sizeof message)
        errx(1, "%zu bytes are too many", size);

    uint64_t start = nanoseconds();
    while (received < count) {
        while (sent < count && sent - received < window) {
            if (send(fd, message, size, 0) < 0)
                err(1, "send");
            sent++;
        }
        if (recv(fd, message, sizeof message, 0) < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                err(1, "recv");
            break;
        }
        received++;
    }
    printf("%lu %llu\n", received, (unsigned long long)(nanoseconds() - start));
    return 0;
}
