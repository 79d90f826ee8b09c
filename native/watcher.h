/*
 * Watches the event loop's own poll descriptor from a thread of its own while the guest runs, and
 * kicks the vCPU when the loop has work: a frame, a keystroke, a signal.
 *
 * Armed, it fires once and is then disarmed. Arming and disarming cost one system call and do not
 * wake the thread.
 */
#ifndef SOLO5_KVM_WATCHER_H
#define SOLO5_KVM_WATCHER_H

#include <pthread.h>

struct watcher {
    int watched_fd;
    int epoll_fd;
    int stop_fd;
    pthread_t thread;
    int running;
    void (*fire)(void *argument);
    void *argument;
};

/* `fire` is called on the watcher's thread. Returns 0 or a negative errno. */
int watcher_start(struct watcher *watcher, int fd, void (*fire)(void *), void *argument);
/* After return `fire` is not called any more. */
void watcher_stop(struct watcher *watcher);
int watcher_arm(struct watcher *watcher, int armed);

#endif
