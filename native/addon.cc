#include "glue.h"

#include <cstring>

void throw_errno(Napi::Env env, int error, const char *syscall)
{
    const char *code = strerrorname_np(-error);
    Napi::Error thrown = Napi::Error::New(env, std::string(syscall) + ": " + strerror(-error));

    thrown.Set("code", Napi::String::New(env, code != nullptr ? code : "UNKNOWN"));
    thrown.Set("errno", Napi::Number::New(env, error));
    thrown.Set("syscall", Napi::String::New(env, syscall));
    thrown.ThrowAsJavaScriptException();
}

static Napi::Object init(Napi::Env env, Napi::Object exports)
{
    init_kvm(env, exports);
    init_tap(env, exports);
    init_netif(env, exports);
    init_lock(env, exports);
    init_wait(env, exports);
    init_socket(env, exports);
    init_pages(env, exports);
    return exports;
}

NODE_API_MODULE(solo5_kvm, init)
