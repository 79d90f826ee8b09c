#include "glue.h"

#include <cerrno>
#include <climits>
#include <cmath>
#include <uv.h>

extern "C" {
#include "kvm.h"
#include "watcher.h"
}

namespace {

/* Bytes of an ArrayBuffer or a view; nullptr (and a pending exception) when `value` is neither. */
uint8_t *bytes_of(Napi::Value value, size_t *length)
{
    if (value.IsTypedArray()) {
        Napi::TypedArray view = value.As<Napi::TypedArray>();
        void *bytes = nullptr;

        *length = view.ByteLength();
        /* Not by its ArrayBuffer, which Node-API does not know when it is a shared one. */
        NAPI_THROW_IF_FAILED(value.Env(),
                             napi_get_typedarray_info(value.Env(), value, nullptr, nullptr, &bytes,
                                                      nullptr, nullptr),
                             nullptr);
        return static_cast<uint8_t *>(bytes);
    }
    Napi::TypeError::New(value.Env(), "expected a typed array").ThrowAsJavaScriptException();
    return nullptr;
}

/* One virtual machine with one vCPU, on the thread that made it. */
class KvmVm : public Napi::ObjectWrap<KvmVm> {
public:
    static void init(Napi::Env env, Napi::Object exports)
    {
        exports.Set("KvmVm",
                    DefineClass(env, "KvmVm",
                                {
                                    InstanceMethod<&KvmVm::check_extension>("checkExtension"),
                                    InstanceMethod<&KvmVm::map_memory>("mapMemory"),
                                    InstanceMethod<&KvmVm::get>("get"),
                                    InstanceMethod<&KvmVm::set>("set"),
                                    InstanceMethod<&KvmVm::tsc_khz>("tscKhz"),
                                    InstanceMethod<&KvmVm::supported_cpuid>("supportedCpuid"),
                                    InstanceMethod<&KvmVm::set_cpuid>("setCpuid"),
                                    InstanceMethod<&KvmVm::translate>("translate"),
                                    InstanceMethod<&KvmVm::interrupt>("interrupt"),
                                    InstanceMethod<&KvmVm::nmi>("nmi"),
                                    InstanceMethod<&KvmVm::set_deadline>("setDeadline"),
                                    InstanceMethod<&KvmVm::watch>("watch"),
                                    InstanceMethod<&KvmVm::kick>("kick"),
                                    InstanceMethod<&KvmVm::times>("times"),
                                    InstanceMethod<&KvmVm::close>("close"),
                                }));
    }

    explicit KvmVm(const Napi::CallbackInfo &info) : Napi::ObjectWrap<KvmVm>(info)
    {
        Napi::Env env = info.Env();
        const char *what = "";
        std::string device = info[0].As<Napi::String>();
        int result = kvm_vm_open(&vm_, device.c_str(), &what);

        if (result < 0) {
            throw_errno(env, result, what);
            return;
        }
        open_ = true;
        vm_.timed = info[1].As<Napi::Boolean>().Value();
        /* The buffer may outlive this object: it alone owns the mapping. */
        Napi::ArrayBuffer run_page = Napi::ArrayBuffer::New(
            env, vm_.run, vm_.run_size,
            [](Napi::Env, void *data, size_t *size) {
                kvm_vm_unmap_run(data, *size);
                delete size;
            },
            new size_t(vm_.run_size));
        if (env.IsExceptionPending())
            return;
        run_page_ = Napi::Persistent(run_page);
        Napi::Object self = info.This().As<Napi::Object>();
        self.Set("runPage", run_page);
        napi_value run_function = nullptr;
        napi_create_function(env, "run", NAPI_AUTO_LENGTH, run, this, &run_function);
        /* Whoever holds the function alone holds its data too. */
        Napi::Function(env, run_function).Set("machine", self);
        self.Set("run", run_function);
    }

    ~KvmVm() override { release(); }

private:
    struct kvm_vm vm_ = {};
    struct watcher watcher_ = {};
    bool open_ = false;
    bool watching_ = false;
    Napi::Reference<Napi::ArrayBuffer> run_page_;
    Napi::ObjectReference memory_;

    void release()
    {
        if (watching_)
            watcher_stop(&watcher_);
        watching_ = false;
        if (open_)
            kvm_vm_close(&vm_);
        open_ = false;
    }

    /* Throws for a negative errno. */
    Napi::Value checked(Napi::Env env, int result, const char *what)
    {
        if (result < 0) {
            throw_errno(env, result, what);
            return env.Undefined();
        }
        return Napi::Number::New(env, result);
    }

    bool usable(Napi::Env env)
    {
        if (!open_)
            throw_errno(env, -EBADF, "use of a closed KvmVm");
        return open_;
    }

    Napi::Value check_extension(const Napi::CallbackInfo &info)
    {
        if (!usable(info.Env()))
            return info.Env().Undefined();
        int capability = info[0].As<Napi::Number>().Int32Value();
        return checked(info.Env(), kvm_vm_check_extension(&vm_, capability), "KVM_CHECK_EXTENSION");
    }

    /* (slot, gpa, bytes): the bytes must be page-aligned and stay where they are. */
    Napi::Value map_memory(const Napi::CallbackInfo &info)
    {
        size_t length = 0;
        uint8_t *bytes = bytes_of(info[2], &length);

        if (bytes == nullptr || !usable(info.Env()))
            return info.Env().Undefined();
        memory_ = Napi::Persistent(info[2].As<Napi::Object>());
        return checked(info.Env(),
                       kvm_vm_map_memory(&vm_, info[0].As<Napi::Number>().Uint32Value(),
                                         (uint64_t)info[1].As<Napi::Number>().DoubleValue(), bytes,
                                         length, info[3].ToBoolean().Value()),
                       "KVM_SET_USER_MEMORY_REGION");
    }

    /* The state and its buffer, or nullptr with a pending exception. */
    uint8_t *state_buffer(const Napi::CallbackInfo &info, enum kvm_state *state)
    {
        size_t length = 0;
        uint32_t index = info[0].As<Napi::Number>().Uint32Value();
        uint8_t *bytes = bytes_of(info[1], &length);

        if (bytes == nullptr || !usable(info.Env()))
            return nullptr;
        if (index >= KVM_STATE_COUNT || length != kvm_state_size((enum kvm_state)index)) {
            Napi::RangeError::New(info.Env(), "no such state, or a buffer of another size")
                .ThrowAsJavaScriptException();
            return nullptr;
        }
        *state = (enum kvm_state)index;
        return bytes;
    }

    Napi::Value get(const Napi::CallbackInfo &info)
    {
        enum kvm_state state;
        uint8_t *bytes = state_buffer(info, &state);

        if (bytes == nullptr)
            return info.Env().Undefined();
        return checked(info.Env(), kvm_vm_get(&vm_, state, bytes), "reading vCPU state");
    }

    Napi::Value set(const Napi::CallbackInfo &info)
    {
        enum kvm_state state;
        uint8_t *bytes = state_buffer(info, &state);

        if (bytes == nullptr)
            return info.Env().Undefined();
        return checked(info.Env(), kvm_vm_set(&vm_, state, bytes), "writing vCPU state");
    }

    Napi::Value tsc_khz(const Napi::CallbackInfo &info)
    {
        if (!usable(info.Env()))
            return info.Env().Undefined();
        return checked(info.Env(), kvm_vm_tsc_khz(&vm_), "KVM_GET_TSC_KHZ");
    }

    /* (into): returns the number of entries. */
    Napi::Value supported_cpuid(const Napi::CallbackInfo &info)
    {
        size_t length = 0;
        uint8_t *bytes = bytes_of(info[0], &length);

        if (bytes == nullptr || !usable(info.Env()))
            return info.Env().Undefined();
        uint32_t capacity = (uint32_t)(length / kvm_cpuid_entry_size());
        return checked(info.Env(), kvm_vm_supported_cpuid(&vm_, bytes, capacity),
                       "KVM_GET_SUPPORTED_CPUID");
    }

    Napi::Value set_cpuid(const Napi::CallbackInfo &info)
    {
        size_t length = 0;
        uint8_t *bytes = bytes_of(info[0], &length);

        if (bytes == nullptr || !usable(info.Env()))
            return info.Env().Undefined();
        uint32_t count = (uint32_t)(length / kvm_cpuid_entry_size());
        return checked(info.Env(), kvm_vm_set_cpuid(&vm_, bytes, count), "KVM_SET_CPUID2");
    }

    /* (linear as BigInt): the guest physical address, or -1 where nothing is mapped. */
    Napi::Value translate(const Napi::CallbackInfo &info)
    {
        bool lossless = false;
        uint64_t gpa = 0;

        if (!usable(info.Env()))
            return info.Env().Undefined();
        uint64_t linear = info[0].As<Napi::BigInt>().Uint64Value(&lossless);
        int result = kvm_vm_translate(&vm_, linear, &gpa);
        if (result == -EFAULT)
            return Napi::Number::New(info.Env(), -1);
        if (result < 0)
            return checked(info.Env(), result, "KVM_TRANSLATE");
        return Napi::Number::New(info.Env(), (double)gpa);
    }

    Napi::Value interrupt(const Napi::CallbackInfo &info)
    {
        if (!usable(info.Env()))
            return info.Env().Undefined();
        uint32_t vector = info[0].As<Napi::Number>().Uint32Value();
        return checked(info.Env(), kvm_vm_interrupt(&vm_, vector), "KVM_INTERRUPT");
    }

    Napi::Value nmi(const Napi::CallbackInfo &info)
    {
        if (!usable(info.Env()))
            return info.Env().Undefined();
        return checked(info.Env(), kvm_vm_nmi(&vm_), "KVM_NMI");
    }

    /*
     * Leaves the exit reason, or a negative errno, in kvm_run. Plain Node-API with the machine as
     * the function's data, and no value to make: of all calls this one has to be fast.
     */
    static napi_value run(napi_env env, napi_callback_info info)
    {
        void *data = nullptr;

        napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
        KvmVm *self = static_cast<KvmVm *>(data);
        if (self->usable(env))
            kvm_vm_run(&self->vm_);
        return nullptr;
    }

    /* (nanoseconds from now; 0 for none) */
    Napi::Value set_deadline(const Napi::CallbackInfo &info)
    {
        if (!usable(info.Env()))
            return info.Env().Undefined();
        double nanoseconds = info[0].As<Napi::Number>().DoubleValue();
        return checked(info.Env(), kvm_vm_set_deadline(&vm_, (uint64_t)nanoseconds),
                       "timer_settime");
    }

    /* (on): whether the event loop's readiness kicks the vCPU. Firing switches it off. */
    Napi::Value watch(const Napi::CallbackInfo &info)
    {
        Napi::Env env = info.Env();
        uv_loop_t *loop = nullptr;

        if (!usable(env))
            return env.Undefined();
        if (!watching_) {
            napi_get_uv_event_loop(env, &loop);
            int result = watcher_start(
                &watcher_, uv_backend_fd(loop),
                [](void *vm) { kvm_vm_kick(static_cast<struct kvm_vm *>(vm)); }, &vm_);
            if (result < 0)
                return checked(env, result, "starting the watcher");
            watching_ = true;
        }
        uint64_t start = kvm_vm_stopwatch_start(&vm_);
        int result = watcher_arm(&watcher_, info[0].As<Napi::Boolean>().Value());
        kvm_vm_stopwatch_stop(&vm_, start);
        return checked(env, result, "epoll_ctl");
    }

    /* Whoever ends a run may be late: nothing runs any more then. */
    Napi::Value kick(const Napi::CallbackInfo &info)
    {
        if (open_)
            kvm_vm_kick(&vm_);
        return info.Env().Undefined();
    }

    /* Nanoseconds, if measured. */
    Napi::Value times(const Napi::CallbackInfo &info)
    {
        Napi::Object times = Napi::Object::New(info.Env());

        times.Set("cpu", Napi::Number::New(info.Env(), (double)vm_.cpu_nanoseconds));
        times.Set("exits", Napi::Number::New(info.Env(), (double)vm_.exit_nanoseconds));
        return times;
    }

    Napi::Value close(const Napi::CallbackInfo &info)
    {
        release();
        if (!run_page_.IsEmpty()) {
            /* From here on JavaScript sees an empty buffer instead of freed pages. */
            run_page_.Value().Detach();
            run_page_.Reset();
        }
        memory_.Reset();
        return info.Env().Undefined();
    }
};

} // namespace

void init_kvm(Napi::Env env, Napi::Object exports)
{
    KvmVm::init(env, exports);
    Napi::Object layout = Napi::Object::New(env);
    for (size_t i = 0; i < kvm_layout_count; i++)
        layout.Set(kvm_layout[i].name, Napi::Number::New(env, (double)kvm_layout[i].value));
    exports.Set("kvmLayout", layout);
}
