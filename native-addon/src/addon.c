/* Module entry and argument decoding. Node-API only, so one build serves every Node version. */
#include "addon.h"

struct args get_args(napi_env env, napi_callback_info info)
{
	struct args a = { .env = env, .count = MAX_ARGS };
	napi_get_cb_info(env, info, &a.count, a.v, NULL, NULL);
	return a;
}

int64_t arg_i64(const struct args *a, size_t i)
{
	int64_t value = 0;
	if (i >= a->count || napi_get_value_int64(a->env, a->v[i], &value) != napi_ok)
		return 0;
	return value;
}

double arg_double(const struct args *a, size_t i)
{
	double value = 0;
	if (i >= a->count || napi_get_value_double(a->env, a->v[i], &value) != napi_ok)
		return 0;
	return value;
}

void *arg_bytes(const struct args *a, size_t i, size_t *length)
{
	void *data = NULL;
	bool is = false;

	*length = 0;
	if (i >= a->count)
		return NULL;
	if (napi_is_typedarray(a->env, a->v[i], &is) == napi_ok && is) {
		napi_typedarray_type type;
		size_t elements = 0;
		static const uint8_t width[] = { 1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 2 };
		napi_get_typedarray_info(a->env, a->v[i], &type, &elements, &data, NULL, NULL);
		*length = elements * ((size_t)type < sizeof(width) ? width[type] : 1);
		return data;
	}
	if (napi_is_dataview(a->env, a->v[i], &is) == napi_ok && is) {
		napi_get_dataview_info(a->env, a->v[i], length, &data, NULL, NULL);
		return data;
	}
	if (napi_is_arraybuffer(a->env, a->v[i], &is) == napi_ok && is) {
		napi_get_arraybuffer_info(a->env, a->v[i], &data, length);
		return data;
	}
	return NULL;
}

napi_value make_double(napi_env env, double value)
{
	napi_value out;
	napi_create_double(env, value, &out);
	return out;
}

napi_value make_undefined(napi_env env)
{
	napi_value out;
	napi_get_undefined(env, &out);
	return out;
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback fn)
{
	napi_value value;
	napi_create_function(env, name, NAPI_AUTO_LENGTH, fn, NULL, &value);
	napi_set_named_property(env, exports, name, value);
}

NAPI_MODULE_INIT()
{
	host_register(env, exports);
	threads_register(env, exports);
	memory_register(env, exports);
	io_worker_register(env, exports);
	listing_register(env, exports);
	spawn_register(env, exports);
	signals_register(env, exports);
	stub_register(env, exports);
	ptrace_register(env, exports);
	systrap_register(env, exports);
	kvm_register(env, exports);
	return exports;
}
