#include "glue.h"

#include <cmath>
#include <ctime>
#include <poll.h>
#include <uv.h>

namespace {

double monotonic()
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/*
 * (nanoseconds, awake): blocks until the event loop has work, at most that long. The first `awake`
 * nanoseconds the thread asks instead of sleeping: being woken takes longer than that.
 */
Napi::Value wait_for_events(const Napi::CallbackInfo &info)
{
    uv_loop_t *loop = nullptr;
    napi_get_uv_event_loop(info.Env(), &loop);

    double left = info[0].As<Napi::Number>().DoubleValue();
    double awake = info.Length() > 1 ? info[1].As<Napi::Number>().DoubleValue() : 0;
    struct pollfd descriptor = {uv_backend_fd(loop), POLLIN, 0};
    if (awake > 0) {
        double start = monotonic(), passed = 0;
        while (passed < awake && passed < left) {
            if (poll(&descriptor, 1, 0) > 0)
                return Napi::Boolean::New(info.Env(), true);
            passed = monotonic() - start;
        }
        left -= passed;
        if (left <= 0)
            return Napi::Boolean::New(info.Env(), false);
    }
    struct timespec timeout = {(time_t)(left / 1e9), (long)std::fmod(left, 1e9)};
    return Napi::Boolean::New(info.Env(), ppoll(&descriptor, 1, &timeout, nullptr) > 0);
}

} // namespace

void init_wait(Napi::Env env, Napi::Object exports)
{
    exports.Set("waitForEvents", Napi::Function::New<wait_for_events>(env, "waitForEvents"));
}
