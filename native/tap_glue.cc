#include "readable.h"

#include <cerrno>
#include <cstring>

extern "C" {
#include "tap.h"
#include "tap_writer.h"
}

namespace {

/*
 * An open tap: (name, threaded). `frame` is the buffer that every received frame is read into, and `header`
 * what is left to do on it; `sentHeader` goes with each frame that is sent. Without `hasHeaders` both are
 * without effect. Frames that are sent several at a time leave by a thread if it is threaded. The constructor throws with `syscall`
 * "open" (of /dev/net/tun) or "TUNSETIFF", or a later step's name.
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
                                           InstanceMethod<&Tap::set_offloads>("setOffloads"),
                                           InstanceMethod<&Tap::lost>("lost"),
                                           InstanceMethod<&Tap::close>("close"),
                                       }));
    }

    explicit Tap(const Napi::CallbackInfo &info)
        : Napi::ObjectWrap<Tap>(info),
          readable_(info.Env(), "solo5-kvm:tap", [this] { return Value(); }),
          threaded_(info[1].As<Napi::Boolean>())
    {
        Napi::Env env = info.Env();
        std::string name = info[0].As<Napi::String>();
        const char *what = "";
        int result = tap_open(&tap_, name.c_str(), &what);

        if (result < 0) {
            throw_errno(env, result, what);
            return;
        }
        /* What is sent comes behind what is received. */
        Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(env, 2 * sizeof *received_);
        if (env.IsExceptionPending())
            return;
        memory_ = Napi::Persistent(memory);
        received_ = static_cast<struct tap_packet *>(memory.Data());
        sent_ = received_ + 1;
        Napi::Object self = info.This().As<Napi::Object>();
        self.Set("header", Napi::Uint8Array::New(env, TAP_HEADER, memory, 0));
        self.Set("frame", Napi::Uint8Array::New(env, TAP_MAX_FRAME, memory, TAP_HEADER));
        self.Set("sentHeader", Napi::Uint8Array::New(env, TAP_HEADER, memory, sizeof *received_));
        self.Set("hasHeaders", tap_.has_headers != 0);
        self.Set("mtu", tap_.mtu);
    }

    ~Tap() override { release(); }

private:
    struct tap tap_ = {-1, -1, 0, 0, 0};
    Napi::Reference<Napi::ArrayBuffer> memory_;
    /* In it: to ask for that takes as long as the rest of a call. */
    struct tap_packet *received_ = nullptr;
    struct tap_packet *sent_ = nullptr;
    Readable readable_;
    bool threaded_;
    /* There once several frames were sent at a time, if threaded_. */
    struct tap_writer *writer_ = nullptr;
    /* A frame was sent since the last read(). */
    bool sending_ = false;
    /* By writers that are gone. */
    unsigned lost_ = 0;

    /* May be called twice. */
    void release()
    {
        readable_.stop();
        if (writer_ != nullptr)
            lost_ += tap_writer_stop(writer_);
        writer_ = nullptr;
        tap_close(&tap_);
    }

    /*
     * (readable): from now on calls readable() in every turn of the event loop in which a frame waits,
     * unless told otherwise by listen().
     */
    Napi::Value start(const Napi::CallbackInfo &info)
    {
        Napi::Env env = info.Env();
        int result = tap_.fd < 0 ? -EBADF : -EALREADY;

        if (tap_.fd >= 0 && !readable_.started())
            result = readable_.start(tap_.ready_fd, info[0].As<Napi::Function>());
        if (result < 0) {
            throw_errno(env, result, "start");
            return env.Undefined();
        }
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

    /* (): reads a frame into `frame`. Its length, 0 if none waits, or a negative errno; never throws. */
    Napi::Value read(const Napi::CallbackInfo &info)
    {
        sending_ = false;
        ssize_t result = tap_.fd < 0 ? -EBADF : tap_read(&tap_, received_);
        return Napi::Number::New(info.Env(), (double)result);
    }

    /* (frame), with what is in `sentHeader`: 0 or a negative errno; never throws. */
    Napi::Value write(const Napi::CallbackInfo &info)
    {
        void *frame = nullptr;
        size_t length = 0;
        /* Directly: Napi::Uint8Array asks for type and buffer as well. */
        napi_get_typedarray_info(info.Env(), info[0], nullptr, &length, &frame, nullptr, nullptr);
        int result = tap_.fd < 0 ? -EBADF : send(static_cast<uint8_t *>(frame), length);
        return Napi::Number::New(info.Env(), result);
    }

    /* The first frame at a time goes at once: to wake a thread takes longer, and often it is the only one. */
    int send(const uint8_t *frame, size_t length)
    {
        bool first = !sending_ && (writer_ == nullptr || tap_writer_rests(writer_));

        if (length > TAP_MAX_FRAME)
            return -EMSGSIZE;
        if (!first && threaded_ && writer_ == nullptr)
            writer_ = tap_writer_start(&tap_);
        sending_ = true;
        if (first || writer_ == nullptr) {
            memcpy(sent_->frame, frame, length);
            return tap_write(&tap_, sent_, length);
        }
        tap_writer_give(writer_, sent_->header, frame, length);
        return 0;
    }

    /* (set): what may be left to do on frames that are read. A kernel that does not know one leaves none. */
    Napi::Value set_offloads(const Napi::CallbackInfo &info)
    {
        if (tap_.fd >= 0)
            tap_set_offloads(&tap_, info[0].As<Napi::Number>().Uint32Value());
        return info.Env().Undefined();
    }

    /* (): how many frames were not taken of those for which write() returned 0. */
    Napi::Value lost(const Napi::CallbackInfo &info)
    {
        return Napi::Number::New(info.Env(), lost_ + (writer_ == nullptr ? 0 : tap_writer_lost(writer_)));
    }

    Napi::Value close(const Napi::CallbackInfo &info)
    {
        release();
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
