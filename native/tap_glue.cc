#include "glue.h"

#include <cerrno>
#include <uv.h>

extern "C" {
#include "tap.h"
}

namespace {

/*
 * libuv closes a handle at its leisure: so it lives apart from its owner. Until it is closed, the cleanup
 * hook holds up the end of the thread, which would unload this code before the close callback.
 */
struct Poll {
    uv_poll_t handle;
    class Tap *owner;
    napi_async_cleanup_hook_handle cleanup;
};

/*
 * An open tap. `frame` is the buffer that every received frame is read into. The constructor throws
 * with `syscall` "open" (of /dev/net/tun) or "TUNSETIFF", or a later step's name.
 */
class Tap : public Napi::ObjectWrap<Tap> {
public:
    static void init(Napi::Env env, Napi::Object exports)
    {
        exports.Set("Tap", DefineClass(env, "Tap",
                                       {
                                           InstanceMethod<&Tap::start>("start"),
                                           InstanceMethod<&Tap::listen>("listen"),
                                           InstanceMethod<&Tap::read>("read"),
                                           InstanceMethod<&Tap::write>("write"),
                                           InstanceMethod<&Tap::close>("close"),
                                       }));
    }

    explicit Tap(const Napi::CallbackInfo &info)
        : Napi::ObjectWrap<Tap>(info), env_(info.Env()), context_(info.Env(), "solo5-kvm:tap")
    {
        Napi::Env env = info.Env();
        std::string name = info[0].As<Napi::String>();
        const char *what = "";
        int result = tap_open(&tap_, name.c_str(), &what);

        if (result < 0) {
            throw_errno(env, result, what);
            return;
        }
        Napi::Uint8Array frame = Napi::Uint8Array::New(env, TAP_MAX_FRAME);
        if (env.IsExceptionPending())
            return;
        frame_ = Napi::Persistent(frame);
        Napi::Object self = info.This().As<Napi::Object>();
        self.Set("frame", frame);
        self.Set("mtu", tap_.mtu);
    }

    ~Tap() override { release(); }

private:
    Napi::Env env_;
    Napi::AsyncContext context_;
    struct tap tap_ = {-1, -1, 0, 0};
    Poll *poll_ = nullptr;
    Napi::Reference<Napi::Uint8Array> frame_;
    Napi::FunctionReference readable_;

    static void on_env_cleanup(napi_async_cleanup_hook_handle, void *poll)
    {
        Tap *owner = static_cast<Poll *>(poll)->owner;
        if (owner != nullptr)
            owner->release();
    }

    static void on_closed(uv_handle_t *handle)
    {
        Poll *poll = static_cast<Poll *>(handle->data);
        napi_remove_async_cleanup_hook(poll->cleanup);
        delete poll;
    }

    /* May be called twice. */
    void release()
    {
        if (poll_ != nullptr) {
            poll_->owner = nullptr;
            uv_poll_stop(&poll_->handle);
            uv_close(reinterpret_cast<uv_handle_t *>(&poll_->handle), on_closed);
            poll_ = nullptr;
        }
        tap_close(&tap_);
    }

    /*
     * (readable): from now on calls readable() in every turn of the event loop in which a frame waits,
     * unless told otherwise by listen().
     */
    Napi::Value start(const Napi::CallbackInfo &info)
    {
        Napi::Env env = info.Env();
        uv_loop_t *loop = nullptr;

        if (tap_.fd < 0 || poll_ != nullptr) {
            throw_errno(env, tap_.fd < 0 ? -EBADF : -EALREADY, "start");
            return env.Undefined();
        }
        napi_get_uv_event_loop(env, &loop);
        Poll *poll = new Poll{{}, this, nullptr};
        int result = uv_poll_init(loop, &poll->handle, tap_.ready_fd);
        if (result < 0) {
            delete poll;
            throw_errno(env, result, "uv_poll_init");
            return env.Undefined();
        }
        napi_add_async_cleanup_hook(env, on_env_cleanup, poll, &poll->cleanup);
        poll->handle.data = poll;
        poll_ = poll;
        readable_ = Napi::Persistent(info[0].As<Napi::Function>());
        uv_poll_start(&poll->handle, UV_READABLE, on_readable);
        set_listening(env, 1);
        return env.Undefined();
    }

    /* (on) */
    Napi::Value listen(const Napi::CallbackInfo &info)
    {
        set_listening(info.Env(), info[0].As<Napi::Boolean>().Value());
        return info.Env().Undefined();
    }

    void set_listening(Napi::Env env, int on)
    {
        int result = tap_.fd < 0 ? 0 : tap_listen(&tap_, on);
        if (result < 0)
            throw_errno(env, result, "epoll_ctl");
    }

    static void on_readable(uv_poll_t *handle, int, int)
    {
        Tap *owner = static_cast<Poll *>(handle->data)->owner;
        if (owner != nullptr)
            owner->call_readable();
    }

    void call_readable()
    {
        Napi::Env env(env_);
        Napi::HandleScope handles(env);
        /* Promises that frames resolve are run at its end. */
        Napi::CallbackScope scope(env, context_);

        /* readable() may close the tap, or drop the last reference to it. */
        Napi::Object self = Value();
        /* Collected, and the destructor has not run yet. */
        if (self.IsEmpty())
            return;
        readable_.Call(self, {});
        /* Not when the thread is ending: JavaScript does not run then. */
        if (env.IsExceptionPending())
            napi_fatal_exception(env, env.GetAndClearPendingException().Value());
    }

    /* (): reads a frame into `frame`. Its length, 0 if none waits, or a negative errno; never throws. */
    Napi::Value read(const Napi::CallbackInfo &info)
    {
        ssize_t result = tap_.fd < 0 ? -EBADF : tap_read(&tap_, frame_.Value().Data(), TAP_MAX_FRAME);
        return Napi::Number::New(info.Env(), (double)result);
    }

    /* (frame): 0 or a negative errno; never throws. */
    Napi::Value write(const Napi::CallbackInfo &info)
    {
        Napi::Uint8Array frame = info[0].As<Napi::Uint8Array>();
        int result = tap_.fd < 0 ? -EBADF : tap_write(&tap_, frame.Data(), frame.ByteLength());
        return Napi::Number::New(info.Env(), result);
    }

    Napi::Value close(const Napi::CallbackInfo &info)
    {
        release();
        readable_.Reset();
        return info.Env().Undefined();
    }
};

/* (name, persistent, owner's user id or -1) */
Napi::Value set_persistent(const Napi::CallbackInfo &info)
{
    std::string name = info[0].As<Napi::String>();
    const char *what = "";
    int result = tap_set_persistent(name.c_str(), info[1].As<Napi::Boolean>().Value(),
                                    info[2].As<Napi::Number>().Int64Value(), &what);
    if (result < 0)
        throw_errno(info.Env(), result, what);
    return info.Env().Undefined();
}

} // namespace

void init_tap(Napi::Env env, Napi::Object exports)
{
    Tap::init(env, exports);
    exports.Set("setTapPersistent", Napi::Function::New<set_persistent>(env, "setTapPersistent"));
}
