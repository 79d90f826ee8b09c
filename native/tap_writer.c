#include "tap_writer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Frames that may be on their way. */
#define FRAMES 64u

/* Where one of the two threads sleeps until the other one has changed something. */
struct bed {
    atomic_int taken;
    sem_t wake;
};

struct frame {
    size_t length;
    struct tap_packet packet;
};

struct tap_writer {
    struct tap_writer *next;
    const struct tap *tap;
    pthread_t thread;
    /* The processor that `thread` keeps off; -1 at first. */
    int avoided;
    /* Free-running counts of frames. Each is stored by one thread. */
    atomic_uint given, written, lost;
    atomic_int stopping;
    struct bed writers, givers;
    /* The n-th is at n % FRAMES. Memory is only taken up as far as they reach. */
    struct frame frames[FRAMES];
};

/* Those whose thread runs. */
static struct tap_writer *running;
static pthread_mutex_t running_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t watching_exit = PTHREAD_ONCE_INIT;

static int has_room(const struct tap_writer *writer)
{
    return writer->given - writer->written < FRAMES;
}

static int has_work(const struct tap_writer *writer)
{
    return writer->given != writer->written || writer->stopping;
}

/* Sleeps unless `ready`, until the next rouse(). */
static void sleep_in(struct bed *bed, const struct tap_writer *writer,
                     int (*ready)(const struct tap_writer *))
{
    bed->taken = 1;
    /* What comes before this look makes it stay awake, what comes after it sees the bed taken. */
    if (ready(writer) && atomic_exchange(&bed->taken, 0))
        return;
    while (sem_wait(&bed->wake) < 0 && errno == EINTR)
        ;
}

static void rouse(struct bed *bed)
{
    if (bed->taken && atomic_exchange(&bed->taken, 0))
        sem_post(&bed->wake);
}

static void *write_frames(void *argument)
{
    struct tap_writer *writer = argument;

    for (;;) {
        while (writer->written != writer->given) {
            const struct frame *frame = &writer->frames[writer->written % FRAMES];

            if (tap_write(writer->tap, &frame->packet, frame->length) < 0)
                writer->lost++;
            writer->written++;
            rouse(&writer->givers);
        }
        if (writer->stopping)
            return NULL;
        sleep_in(&writer->writers, writer, has_work);
    }
}

static int start_thread(struct tap_writer *writer)
{
    sigset_t all, before;
    int result;

    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&writer->thread, NULL, write_frames, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

/*
 * Keeps the writer off the caller's processor, to which it would be drawn by who wakes it: with two of them
 * both threads of ours then take turns on one, and who receives the frames has the other for itself.
 */
static void keep_off(struct tap_writer *writer)
{
    cpu_set_t others;
    int here = sched_getcpu();

    if (here < 0 || here == writer->avoided)
        return;
    writer->avoided = here;
    if (sched_getaffinity(0, sizeof others, &others) < 0)
        return;
    CPU_CLR(here, &others);
    /* Refused if there is no other, or more processors than the set holds: then it may be anywhere. */
    pthread_setaffinity_np(writer->thread, sizeof others, &others);
}

/* What has been given leaves; nothing may be given any more. */
static void finish(struct tap_writer *writer)
{
    writer->stopping = 1;
    rouse(&writer->writers);
    pthread_join(writer->thread, NULL);
}

/* process.exit() of Node runs neither finalizers nor the hooks of an environment that ends. */
static void finish_all(void)
{
    pthread_mutex_lock(&running_lock);
    for (struct tap_writer *writer = running; writer != NULL; writer = writer->next)
        finish(writer);
    running = NULL;
    pthread_mutex_unlock(&running_lock);
}

static void watch_exit(void)
{
    atexit(finish_all);
}

static void add_running(struct tap_writer *writer)
{
    pthread_once(&watching_exit, watch_exit);
    pthread_mutex_lock(&running_lock);
    writer->next = running;
    running = writer;
    pthread_mutex_unlock(&running_lock);
}

/* Returns whether it was. */
static int remove_running(const struct tap_writer *writer)
{
    struct tap_writer **link = &running;
    int found;

    pthread_mutex_lock(&running_lock);
    while (*link != NULL && *link != writer)
        link = &(*link)->next;
    found = *link != NULL;
    if (found)
        *link = writer->next;
    pthread_mutex_unlock(&running_lock);
    return found;
}

struct tap_writer *tap_writer_start(const struct tap *tap)
{
    struct tap_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL)
        return NULL;
    writer->tap = tap;
    writer->avoided = -1;
    sem_init(&writer->writers.wake, 0, 0);
    sem_init(&writer->givers.wake, 0, 0);
    if (start_thread(writer) != 0) {
        free(writer);
        return NULL;
    }
    add_running(writer);
    return writer;
}

void tap_writer_give(struct tap_writer *writer, const uint8_t *header, const uint8_t *frame, size_t length)
{
    struct frame *slot = &writer->frames[writer->given % FRAMES];

    keep_off(writer);
    while (!has_room(writer))
        sleep_in(&writer->givers, writer, has_room);
    memcpy(slot->packet.header, header, TAP_HEADER);
    memcpy(slot->packet.frame, frame, length);
    slot->length = length;
    writer->given++;
    rouse(&writer->writers);
}

int tap_writer_rests(const struct tap_writer *writer)
{
    return writer->given == writer->written;
}

unsigned tap_writer_lost(const struct tap_writer *writer)
{
    return writer->lost;
}

unsigned tap_writer_stop(struct tap_writer *writer)
{
    unsigned lost;

    if (remove_running(writer))
        finish(writer);
    sem_destroy(&writer->writers.wake);
    sem_destroy(&writer->givers.wake);
    lost = writer->lost;
    free(writer);
    return lost;
}
