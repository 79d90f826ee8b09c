#include "glue.h"

#include <unistd.h>

extern "C" {
#include "pages.h"
}

namespace {

/* (bytes, a whole number of pages): a Uint8Array with 1 for each page that was ever touched, else 0. */
Napi::Value touched_pages(const Napi::CallbackInfo &info)
{
    Napi::Uint8Array bytes = info[0].As<Napi::Uint8Array>();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t count = bytes.ByteLength() / page;
    Napi::Uint8Array touched = Napi::Uint8Array::New(info.Env(), count);
    int result = pages_touched(bytes.Data(), count, touched.Data());

    if (result < 0) {
        throw_errno(info.Env(), result, "reading the page map");
        return info.Env().Undefined();
    }
    return touched;
}

/* (bytes, a whole number of pages): whether the host takes it that they may be large ones. */
Napi::Value advise_large_pages(const Napi::CallbackInfo &info)
{
    Napi::Uint8Array bytes = info[0].As<Napi::Uint8Array>();
    int result = pages_advise_large(bytes.Data(), bytes.ByteLength());

    return Napi::Boolean::New(info.Env(), result == 0);
}

} // namespace

void init_pages(Napi::Env env, Napi::Object exports)
{
    exports.Set("touchedPages", Napi::Function::New<touched_pages>(env, "touchedPages"));
    exports.Set("adviseLargePages",
                Napi::Function::New<advise_large_pages>(env, "adviseLargePages"));
}
