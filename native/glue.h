/* What the glue files share: errors as JavaScript sees them, and the parts that addon.cc puts together. */
#ifndef SOLO5_KVM_GLUE_H
#define SOLO5_KVM_GLUE_H

#include <napi.h>

/* Throws an Error with `code` (errno's name), `errno` and `syscall`. `error` is a negative errno. */
void throw_errno(Napi::Env env, int error, const char *syscall);

void init_kvm(Napi::Env env, Napi::Object exports);
void init_tap(Napi::Env env, Napi::Object exports);
void init_netif(Napi::Env env, Napi::Object exports);
void init_lock(Napi::Env env, Napi::Object exports);
void init_wait(Napi::Env env, Napi::Object exports);
void init_socket(Napi::Env env, Napi::Object exports);
void init_pages(Napi::Env env, Napi::Object exports);

#endif
