/* Calls JavaScript in every turn of the event loop in which a descriptor can be read. */
#ifndef SOLO5_KVM_READABLE_H
#define SOLO5_KVM_READABLE_H

#include "glue.h"

#include <functional>

/* Belongs to an object that JavaScript sees, and is used on the event loop's thread only. */
class Readable {
public:
    /*
     * `name` is for async_hooks. `self` gives the object while it is there: it is called from the event
     * loop, when the object may have been collected, and its destructor has not run yet.
     */
    Readable(Napi::Env env, const char *name, std::function<Napi::Object()> self);
    ~Readable() { stop(); }

    bool started() const { return handle_ != nullptr; }

    /* From now on calls `callback`, with the object as `this`. Returns 0 or a negative errno. */
    int start(int fd, Napi::Function callback);

    /* After return `callback` is not called any more, and `fd` may be closed. May be called twice. */
    void stop();

private:
    struct Handle;

    Napi::Env env_;
    Napi::AsyncContext context_;
    std::function<Napi::Object()> self_;
    Napi::FunctionReference callback_;
    Handle *handle_ = nullptr;

    void call();
};

#endif
