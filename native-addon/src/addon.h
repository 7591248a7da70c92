/* Shared by every part of the addon: registration and argument decoding. */
#ifndef TSVISOR_ADDON_H
#define TSVISOR_ADDON_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_ARGS 10

/* The arguments of one call. Missing ones are undefined. */
struct args {
	napi_env env;
	size_t count;
	napi_value v[MAX_ARGS];
};

struct args get_args(napi_env env, napi_callback_info info);

/* Number argument `i`; 0 where it is missing or no number. Exact within +-2^53. */
int64_t arg_i64(const struct args *a, size_t i);
double arg_double(const struct args *a, size_t i);

/* Memory of the TypedArray, DataView or ArrayBuffer in argument `i`: address and length in bytes. NULL and 0 for null and undefined. */
void *arg_bytes(const struct args *a, size_t i, size_t *length);

napi_value make_double(napi_env env, double value);
napi_value make_undefined(napi_env env);

/* Sets `exports[name]`. */
void export_function(napi_env env, napi_value exports, const char *name, napi_callback fn);

/* The parts. */
void host_register(napi_env env, napi_value exports);
void threads_register(napi_env env, napi_value exports);
void memory_register(napi_env env, napi_value exports);
void listing_register(napi_env env, napi_value exports);
void io_worker_register(napi_env env, napi_value exports);
void spawn_register(napi_env env, napi_value exports);
void signals_register(napi_env env, napi_value exports);
void stub_register(napi_env env, napi_value exports);
void ptrace_register(napi_env env, napi_value exports);
void systrap_register(napi_env env, napi_value exports);
void kvm_register(napi_env env, napi_value exports);

#endif
