#include "readable.h"

#include <cerrno>
#include <unistd.h>

extern "C" {
#include "socket.h"
}

namespace {

/* Waits for connections without taking them. The constructor throws with the `syscall` that failed. */
class Listener : public Napi::ObjectWrap<Listener> {
public:
    static void init(Napi::Env env, Napi::Object exports)
    {
        exports.Set("Listener", DefineClass(env, "Listener",
                                            {
                                                InstanceMethod<&Listener::start>("start"),
                                                InstanceMethod<&Listener::release>("release"),
                                                InstanceMethod<&Listener::close>("close"),
                                            }));
    }

    /* (port of 127.0.0.1, or path) */
    explicit Listener(const Napi::CallbackInfo &info)
        : Napi::ObjectWrap<Listener>(info),
          readable_(info.Env(), "solo5-kvm:listener", [this] { return Value(); })
    {
        const char *what = "";

        if (info[0].IsNumber())
            fd_ = socket_listen_port((uint16_t)info[0].As<Napi::Number>().Uint32Value(), &what);
        else
            fd_ = socket_listen_path(info[0].As<Napi::String>().Utf8Value().c_str(), &what);
        if (fd_ < 0)
            throw_errno(info.Env(), fd_, what);
    }

    ~Listener() override { close_descriptor(); }

private:
    int fd_ = -1;
    Readable readable_;

    void close_descriptor()
    {
        readable_.stop();
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
    }

    /* (connecting): from now on calls connecting() in every turn in which a connection waits. */
    Napi::Value start(const Napi::CallbackInfo &info)
    {
        int result = readable_.started() ? -EALREADY : readable_.start(fd_, info[0].As<Napi::Function>());

        if (result < 0)
            throw_errno(info.Env(), result, "start");
        return info.Env().Undefined();
    }

    /* (): the descriptor, which is the caller's from now on. */
    Napi::Value release(const Napi::CallbackInfo &info)
    {
        int fd = fd_;

        readable_.stop();
        fd_ = -1;
        return Napi::Number::New(info.Env(), fd);
    }

    /* May be called twice. */
    Napi::Value close(const Napi::CallbackInfo &info)
    {
        close_descriptor();
        return info.Env().Undefined();
    }
};

/* (descriptor, bytes): how many the socket has taken, or a negative errno; never throws. */
Napi::Value send_now(const Napi::CallbackInfo &info)
{
    int fd = info[0].As<Napi::Number>();
    Napi::Uint8Array bytes = info[1].As<Napi::Uint8Array>();

    return Napi::Number::New(info.Env(), (double)socket_send_now(fd, bytes.Data(), bytes.ByteLength()));
}

} // namespace

void init_socket(Napi::Env env, Napi::Object exports)
{
    Listener::init(env, exports);
    exports.Set("sendNow", Napi::Function::New<send_now>(env, "sendNow"));
}
