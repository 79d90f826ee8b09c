#include "watcher.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    struct epoll_event event;

    for (;;) {
        int count = epoll_wait(watcher->epoll_fd, &event, 1, -1);

        if (count < 0 && errno == EINTR)
            continue;
        if (count != 1 || event.data.fd == watcher->stop_fd)
            return NULL;
        watcher->fire(watcher->argument);
    }
}

static int add(struct watcher *watcher, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    return epoll_ctl(watcher->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int start_thread(struct watcher *watcher)
{
    sigset_t all, before;
    int result;

    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = -pthread_create(&watcher->thread, NULL, watch, watcher);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    watcher->running = result == 0;
    return result;
}

int watcher_start(struct watcher *watcher, int fd, void (*fire)(void *), void *argument)
{
    int result;

    memset(watcher, 0, sizeof *watcher);
    watcher->watched_fd = fd;
    watcher->fire = fire;
    watcher->argument = argument;
    watcher->stop_fd = eventfd(0, EFD_CLOEXEC);
    watcher->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (watcher->stop_fd < 0 || watcher->epoll_fd < 0)
        result = -errno;
    else if ((result = add(watcher, watcher->stop_fd, EPOLLIN)) == 0 &&
             (result = add(watcher, fd, EPOLLONESHOT)) == 0)
        result = start_thread(watcher);
    if (result < 0)
        watcher_stop(watcher);
    return result;
}

void watcher_stop(struct watcher *watcher)
{
    if (watcher->running) {
        uint64_t one = 1;

        /* An eventfd write of 1 to a counter of 0 cannot block or fail. */
        if (write(watcher->stop_fd, &one, sizeof one) == sizeof one)
            pthread_join(watcher->thread, NULL);
        watcher->running = 0;
    }
    if (watcher->epoll_fd > 0)
        close(watcher->epoll_fd);
    if (watcher->stop_fd > 0)
        close(watcher->stop_fd);
    watcher->epoll_fd = watcher->stop_fd = 0;
}

int watcher_arm(struct watcher *watcher, int armed)
{
    struct epoll_event event = {
        .events = EPOLLONESHOT | (armed ? EPOLLIN : 0),
        .data.fd = watcher->watched_fd,
    };

    return epoll_ctl(watcher->epoll_fd, EPOLL_CTL_MOD, watcher->watched_fd, &event) < 0 ? -errno
                                                                                        : 0;
}
