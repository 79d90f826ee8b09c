#include "readable.h"

#include <uv.h>

/*
 * libuv closes a handle at its leisure: so it lives apart from its owner. Until it is closed, the cleanup
 * hook holds up the end of the thread, which would unload this code before the close callback.
 */
struct Readable::Handle {
    uv_poll_t poll;
    Readable *owner;
    napi_async_cleanup_hook_handle cleanup;

    static Handle *of(uv_poll_t *poll) { return static_cast<Handle *>(poll->data); }

    static void on_readable(uv_poll_t *poll, int, int)
    {
        Readable *owner = of(poll)->owner;
        if (owner != nullptr)
            owner->call();
    }

    static void on_env_cleanup(napi_async_cleanup_hook_handle, void *handle)
    {
        Readable *owner = static_cast<Handle *>(handle)->owner;
        if (owner != nullptr)
            owner->stop();
    }

    static void on_closed(uv_handle_t *poll)
    {
        Handle *handle = static_cast<Handle *>(poll->data);
        napi_remove_async_cleanup_hook(handle->cleanup);
        delete handle;
    }
};

Readable::Readable(Napi::Env env, const char *name, std::function<Napi::Object()> self)
    : env_(env), context_(env, name), self_(self)
{
}

int Readable::start(int fd, Napi::Function callback)
{
    uv_loop_t *loop = nullptr;

    napi_get_uv_event_loop(env_, &loop);
    Handle *handle = new Handle{{}, this, nullptr};
    int result = uv_poll_init(loop, &handle->poll, fd);
    if (result < 0) {
        delete handle;
        return result;
    }
    napi_add_async_cleanup_hook(env_, Handle::on_env_cleanup, handle, &handle->cleanup);
    handle->poll.data = handle;
    handle_ = handle;
    callback_ = Napi::Persistent(callback);
    uv_poll_start(&handle->poll, UV_READABLE, Handle::on_readable);
    return 0;
}

void Readable::stop()
{
    if (handle_ == nullptr)
        return;
    handle_->owner = nullptr;
    uv_poll_stop(&handle_->poll);
    uv_close(reinterpret_cast<uv_handle_t *>(&handle_->poll), Handle::on_closed);
    handle_ = nullptr;
    callback_.Reset();
}

void Readable::call()
{
    Napi::Env env(env_);
    Napi::HandleScope handles(env);
    /* Promises that the callback resolves are run at its end. */
    Napi::CallbackScope scope(env, context_);

    /* The callback may stop this, or drop the last reference to the object. */
    Napi::Object self = self_();
    if (self.IsEmpty())
        return;
    callback_.Call(self, {});
    /* Not when the thread is ending: JavaScript does not run then. */
    if (env.IsExceptionPending())
        napi_fatal_exception(env, env.GetAndClearPendingException().Value());
}
