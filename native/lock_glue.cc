#include "glue.h"

#include <cerrno>
#include <sys/file.h>

namespace {

/*
 * (descriptor, exclusive): locks the open file until it is closed; throws EWOULDBLOCK when somebody
 * else's lock is in the way.
 */
Napi::Value lock_file(const Napi::CallbackInfo &info)
{
    int descriptor = info[0].As<Napi::Number>();
    bool exclusive = info[1].As<Napi::Boolean>();

    if (flock(descriptor, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
        throw_errno(info.Env(), -errno, "flock");
    return info.Env().Undefined();
}

} // namespace

void init_lock(Napi::Env env, Napi::Object exports)
{
    exports.Set("lockFile", Napi::Function::New<lock_file>(env, "lockFile"));
}
